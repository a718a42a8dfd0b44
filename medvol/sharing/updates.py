# SPDX-License-Identifier: Apache-2.0
"""Whether a bundle may be received under its name: older and altered ones of a known name may not.

Otherwise whoever has an old file with a known fault, or has changed one, could put it in the place
of the good one, with a signature that was right once.
"""

import shlex
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ..bundle.listing import look
from ..bundle.store import Installed, Seen, Store, is_version, version_key
from ..errors import InputError
from ..manifest import Manifest, manifest_of
from ..scratch import TEMPORARY, prefix

NEW = "Ask for a newer version of it."


class Word(NamedTuple):
    """What stands for a bundle.

    Args:
        accepted: the user named its digest.
        signer: name of the trusted key that signed it; None for another key, or none.
    """

    accepted: bool
    signer: str | None

    @property
    def enough(self) -> bool:
        """The user or somebody whom the user trusts stands for it."""
        return self.accepted or self.signer is not None


def check_update(manifest: Manifest, word: Word, store: Store, *, path: Path) -> None:
    """Refuse a bundle that is older than one that was received under its name, or contradicts it.

    Args:
        manifest: of the bundle.
        word: what stands for it.
        store: what was received before; what was removed since counts too.
        path: of the file, for what is refused.

    Raises:
        InputError: E_UNTRUSTED, it is older, or of the same version and another content; or nobody
            who is trusted signed it, and the one that is known was signed. E_BUNDLE, its version is
            not one, or its name differs from a known one by capitals alone.
    """
    name, version = manifest.name, manifest.version
    if not is_version(version):
        reason = f"its version {version!r} is not a version such as 1.2.0."
        raise InputError("E_BUNDLE", path, reason, "Ask for it with a version.")
    _check_name(name, store.seen, path)
    same = [bundle for bundle in store.bundles if bundle.digest == manifest.digest]
    seen = store.seen.get(name)
    if seen is None or any(not bundle.withdrawn for bundle in same):
        return
    if seen.digest != manifest.digest and version_key(version) <= version_key(seen.version):
        older = version_key(version) < version_key(seen.version)
        what = "is older than" if older else "holds something else than"
        reason = f"{name} {version} {what} {seen.version}, which was received before."
        way = f"{NEW} `medvol bundle remove {name} --forget` forgets all that is known of it."
        raise InputError("E_UNTRUSTED", path, reason, way)
    if seen.signed and not word.enough:
        reason = f"{name} {seen.version} was signed, and nobody whom you trust signed this one."
        raise InputError("E_UNTRUSTED", path, reason, remedy(path, manifest))


def check_shipped(
    manifest: Manifest, word: Word, shipped: Mapping[str, Path], *, path: Path
) -> None:
    """Refuse a bundle in whose name medvol has another one, unless somebody stands for it.

    Args:
        manifest: of the bundle.
        word: what stands for it.
        shipped: name to folder of the bundles that came with medvol.
        path: of the file, for what is refused.

    Raises:
        InputError: E_UNTRUSTED, it is older than the shipped one, or neither the same nor signed by
            somebody who is trusted, nor accepted. E_BUNDLE, as for `check_update`.
    """
    name, version = manifest.name, manifest.version
    _check_name(name, shipped, path)
    if name not in shipped:
        return
    own = str(look(shipped[name]).metadata.get("version", ""))
    if version_key(version) < version_key(own):
        reason = f"{name} {version} is older than {own}, which came with medvol."
        raise InputError("E_UNTRUSTED", path, reason, NEW)
    same = version == own and not word.enough and is_shipped_one(manifest, shipped[name])
    if not word.enough and not same:
        reason = f"it would take the place of {name} {own}, which came with medvol."
        raise InputError("E_UNTRUSTED", path, reason, remedy(path, manifest))


def is_shipped_one(manifest: Manifest, folder: Path) -> bool:
    """Whether a packed bundle is a shipped one, packed by this medvol; its golden case may differ.

    Args:
        manifest: of the packed one.
        folder: of the shipped one.
    """
    from .prepare import MADE_ANEW, prepared  # here: it loads torch

    with tempfile.TemporaryDirectory(prefix=prefix(TEMPORARY)) as place:
        prepared(folder, Path(place, folder.name))
        expected = dict(manifest_of(Path(place, folder.name)).files)
    files = {
        file: entry for file, entry in manifest.files.items()
        if file.partition("/")[0] not in MADE_ANEW
    }  # fmt: skip
    return files == expected


def newer(seen: Seen | None, bundle: Installed) -> Seen:
    """What to remember of a name when a bundle was received.

    Args:
        seen: what was remembered before.
        bundle: that was received.
    """
    signed = bundle.key is not None
    if seen is None:
        return Seen(bundle.version, bundle.digest, signed)
    if version_key(bundle.version) < version_key(seen.version):
        return seen
    return Seen(bundle.version, bundle.digest, signed or seen.signed)


def remedy(path: Path, manifest: Manifest, *, signed: bool = False) -> str:
    """What to do with a bundle for which nobody stands.

    Args:
        path: of the file.
        manifest: of the bundle.
        signed: by a key that is not known here.
    """
    file = shlex.quote(str(path))
    known = "Where you know whose key it is: medvol bundle trust add NAME KEY.pub. "
    return (
        f"Look at it: medvol bundle inspect {file}. {known if signed else ''}Where you trust it: "
        f"medvol bundle receive {file} --accept {manifest.digest}"
    )


def _check_name(name: str, known: Iterable[str], path: Path) -> None:
    """Names that differ by capitals alone are one folder on many systems, and for many eyes."""
    for other in known:
        if other != name and other.casefold() == name.casefold():
            reason = f"its name {name!r} differs from {other!r}, which is known, by capitals alone."
            raise InputError("E_BUNDLE", path, reason, "Ask for it under another name.")
