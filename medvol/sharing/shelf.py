# SPDX-License-Identifier: Apache-2.0
"""A folder that several computers reach, such as a lab's network drive, as a store of bundles.

It holds a folder for each name, and in that `NAME-VERSION-DIGEST.zip`, packed bundles with the
first digits of their digests. Its index is what lies in it, so nothing can contradict that.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ..bundle.store import VERSION, is_version, version_key
from ..errors import InputError
from ..failures import path_error
from ..files import locked, replacing
from ..manifest import NAME, Manifest
from .archive import quarantined
from .sealed import Sealed, read_sealed

UNPACKED = "Make it with `medvol bundle pack`."


class Version(NamedTuple):
    """A version of a bundle in a store.

    Args:
        name, version: of the bundle.
        short: first digits of its digest; empty where the store does not say.
        place: where it lies.
    """

    name: str
    version: str
    short: str
    place: str


def on_shelf(name: str, shelf: Path) -> list[Version]:
    """The versions of a bundle in a folder, the oldest first.

    Args:
        name: of the bundle.
        shelf: the folder.

    Raises:
        InputError: E_PATH, the folder is not there or cannot be read.
        ValueError: no bundle can have that name.
    """
    check_name(name)
    try:
        shelf.stat()
        files = [*(shelf / name).iterdir()] if (shelf / name).is_dir() else []
    except OSError as error:
        raise path_error(shelf, error) from error
    pattern = re.compile(rf"{re.escape(name)}-({VERSION.pattern})-([0-9a-f]{{12}})\.zip")
    found = [(match, path) for path in files if (match := pattern.fullmatch(path.name))]
    rows = [Version(name, match[1], match[2], str(path)) for match, path in found]
    return sorted(rows, key=lambda row: (version_key(row.version), row.short))


def put_on_shelf(path: Path, shelf: Path) -> Version:
    """Copy a packed bundle into a folder, whole or not at all.

    Args:
        path: of the `.zip`.
        shelf: the folder; it must be there, so that a drive that is not connected is noticed.

    Raises:
        InputError: E_PATH, the folder is not there; E_OUTPUT, this version is there with another
            content; E_NOSPACE, the folder cannot be written; E_CHANGED, the file changed meanwhile;
            and as for `read_packed`.
    """
    sealed = read_packed(path)
    manifest = sealed.manifest
    name, version, short = manifest.name, manifest.version, manifest.short
    on_shelf(name, shelf)
    final = shelf / name / f"{name}-{version}-{short}.zip"
    with locked(shelf / name / "index"):
        for other in on_shelf(name, shelf):
            if other.version == version and other.short != short:
                raise taken(path, manifest, f"{other.short}… in {shelf}")
        if not (final.is_file() and sealed.signer is None):  # a signed one is not replaced
            with replacing(final) as temporary:
                shutil.copyfile(path, temporary)
                if read_packed(temporary) != sealed:
                    raise InputError(
                        "E_CHANGED", path, "it changed while it was copied.", "Copy it again."
                    )
    return Version(name, version, short, str(final))


@contextmanager
def from_shelf(name: str, version: str | None, shelf: Path) -> Iterator[Version]:
    """A version of a bundle in a folder.

    Args:
        name: of the bundle.
        version: that is meant; None for the newest.
        shelf: the folder.

    Raises:
        InputError: E_BUNDLE, there is no such bundle or version, or two files are of one version;
            others as for `on_shelf`.
    """
    yield chosen(on_shelf(name, shelf), name, version, str(shelf))


def chosen(rows: list[Version], name: str, version: str | None, place: str) -> Version:
    """The version that is meant among those of a store.

    Args:
        rows: the versions, the oldest first.
        name: of the bundle.
        version: that is meant; None for the newest.
        place: the store, for messages.

    Raises:
        InputError: E_BUNDLE, there is none, or there are two.
    """
    if not rows:
        raise InputError(
            "E_BUNDLE", place, f"there is no bundle named {name}.", "Check the name and the place."
        )
    wanted = rows[-1].version if version is None else version
    found = [row for row in rows if row.version == wanted]
    if not found:
        there = ", ".join(row.version for row in rows)
        raise InputError(
            "E_BUNDLE", place, f"{name} has no version {wanted} there.", f"There are {there}."
        )
    if len(found) > 1:
        raise InputError(
            "E_BUNDLE", place, f"{name} {wanted} lies there with two contents.",
            "Ask who put them there, and take the wrong one away.",
        )  # fmt: skip
    return found[0]


def read_packed(path: Path) -> Sealed:
    """Manifest and signature of a packed bundle that is whole and can be put into a store.

    Args:
        path: of the `.zip`.

    Raises:
        InputError: E_BUNDLE, it has no manifest, or a version that is not one; others
            as for `archive.quarantined` and `sealed.read_sealed`.
    """
    with quarantined(path) as folder:
        sealed = read_sealed(folder)
    if sealed is None:
        raise InputError("E_BUNDLE", path, "it has no manifest.", UNPACKED)
    if not is_version(sealed.manifest.version):
        raise InputError(
            "E_BUNDLE", path, f"its version is {sealed.manifest.version!r}.",
            "Give it a version such as 1.0.0 in its metadata, and pack it again.",
        )  # fmt: skip
    return sealed


def taken(path: Path, manifest: Manifest, other: str) -> InputError:
    """That a version is in a store with another content.

    Args:
        path: of the file that was to be put there.
        manifest: of it.
        other: what lies there, in words.
    """
    return InputError(
        "E_OUTPUT", path, f"{manifest.name} {manifest.version} is there already, with another "
        f"content: {other}.", "Give it a new version in its metadata, and pack it again.",
    )  # fmt: skip


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a bundle, such as a path.

    Raises:
        ValueError: it is none.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a bundle; give a name such as lung_lesions")
