# SPDX-License-Identifier: Apache-2.0
"""Signing a packed bundle: the same file, and one small member more."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..errors import InputError
from ..failures import path_error
from ..files import replacing
from ..manifest import SIGNATURE, Manifest
from .archive import CHUNK_BYTES, quarantined
from .sealed import read_sealed, signed
from .zip_layout import Member, contents, moved, read_layout, stored

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def sign(path: Path, key: "Ed25519PrivateKey") -> Manifest:
    """Put a signature into a packed bundle, in place of one that it has.

    All other bytes stay as they are, so signing twice with one key gives the same file.

    Args:
        path: of the packed bundle, which is replaced.
        key: as `keys.read_key` gives it.

    Returns:
        The manifest that was signed.

    Raises:
        InputError: as for `archive.quarantined` and `sealed.read_sealed`: what is not as its
            manifest says is not signed. E_BUNDLE, it has no manifest.
    """
    with quarantined(path) as folder:
        sealed = read_sealed(folder)
    if sealed is None:
        reason = "it has no manifest, which is what a signature signs."
        raise InputError("E_BUNDLE", path, reason, "Pack it with `medvol bundle pack`.")
    manifest = sealed.manifest
    try:
        with path.open("rb") as source, replacing(path) as temporary, temporary.open("wb") as sink:
            name = f"{manifest.name}/{SIGNATURE}"
            kept = [member for member in read_layout(source, path) if member.name != name]
            _write(source, kept, sink, name=name, content=signed(manifest, key))
    except OSError as error:
        raise path_error(path, error) from error
    return manifest


def _write(
    source: BinaryIO, kept: Sequence[Member], sink: BinaryIO, *, name: str, content: bytes
) -> None:
    """Write an archive of some members of another one, and of one that is new."""
    members: list[Member] = []
    for member in kept:
        members.append(moved(member, sink.tell()))
        source.seek(member.start)
        left = member.end - member.start
        while chunk := source.read(min(left, CHUNK_BYTES)):
            sink.write(chunk)
            left -= len(chunk)
    lies, last = stored(name, content, start=sink.tell())
    sink.write(lies + contents([*members, last]))
