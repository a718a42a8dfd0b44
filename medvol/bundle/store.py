# SPDX-License-Identifier: Apache-2.0
"""The bundles that were received: what is known of each, and whether its files are still the same.

A bundle lies in `received/NAME/VERSION-DIGEST/NAME` of the user's home of medvol. What is known of
it stands beside that folder, in `received.json`, where nothing in a packed bundle can write.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from ..audit.verdict import Level
from ..errors import InputError
from ..files import locked, write_json
from ..manifest import NAME, SHORT, manifest_of
from .places import home_folder, read_list

VERSION = re.compile(r"\d[0-9A-Za-z.+_-]{0,39}")  # PEP 440 that can be part of a file's name
AT = "@"  # between a name and a version
LIST = "received.json"
_FORMAT = 1  # of that file
_MEND = "Move this file away, and receive the bundles again."


@dataclass(frozen=True)
class Installed:
    """A bundle that was received.

    Args:
        name: of the bundle.
        version: of its metadata.
        digest: of its manifest, 64 hexadecimal digits.
        level: that its audit gave.
        signer: name of the trusted key that signed it; None for another key, or none.
        key: fingerprint of the key that signed it; None where nobody did.
        accepted: the user named this digest.
        received: when, in UTC, as ISO 8601 has it.
        withdrawn: its key was revoked since.
    """

    name: str
    version: str
    digest: str
    level: Level
    signer: str | None
    key: str | None
    accepted: bool
    received: str
    withdrawn: bool = False

    @property
    def folder(self) -> Path:
        """The bundle's root."""
        place = f"{self.version}-{self.digest[:SHORT]}"
        return received_folder() / self.name / place / self.name

    @property
    def title(self) -> str:
        """NAME@VERSION."""
        return f"{self.name}{AT}{self.version}"


class Seen(NamedTuple):
    """The newest version of a name that was ever received, also where it was removed since.

    Args:
        version: of its metadata.
        digest: of its manifest.
        signed: somebody had signed it.
    """

    version: str
    digest: str
    signed: bool


class Store(NamedTuple):
    """What `received.json` says.

    Args:
        bundles: that are there.
        seen: name to the newest version of it.
    """

    bundles: tuple[Installed, ...]
    seen: Mapping[str, Seen]


def received_folder() -> Path:
    """Where received bundles lie."""
    return home_folder() / "received"


def read_store() -> Store:
    """All that is known of received bundles; nothing where none was received.

    Raises:
        InputError: E_CORRUPT, the list is damaged.
    """
    return read_list(LIST, _parsed, what="received bundles", remedy=_MEND) or Store((), {})


@contextmanager
def changing_store() -> Iterator[list[Store]]:
    """Hold the store for this process alone, and write what the block puts in the place of it.

    Returns:
        A list of the one store there is; the block replaces it. Where the block raises, nothing is
        written.

    Raises:
        InputError: E_CORRUPT, as for `read_store`; E_NOSPACE, it cannot be written.
    """
    home = home_folder()
    with locked(home / LIST):
        holder = [read_store()]
        yield holder
        (store,) = holder
        rows = [asdict(bundle) for bundle in store.bundles]
        seen = {name: one._asdict() for name, one in sorted(store.seen.items())}
        write_json(home / LIST, {"format": _FORMAT, "bundles": rows, "seen": seen})


def installed() -> list[Installed]:
    """The received bundles by name, and by version of each, the oldest first.

    Raises:
        InputError: E_CORRUPT, the list is damaged.
    """
    return sorted(read_store().bundles, key=lambda x: (x.name, version_key(x.version)))


def newest() -> list[Installed]:
    """The newest received version of each name.

    Raises:
        InputError: E_CORRUPT, the list is damaged.
    """
    return [*{bundle.name: bundle for bundle in installed()}.values()]


def installed_bundle(name: str) -> Installed | None:
    """The received bundle of a name; None where there is none.

    Args:
        name: such as "lungs" for the newest version, or "lungs@1.0.0".

    Raises:
        InputError: E_CORRUPT, the list is damaged.
    """
    plain, at, version = name.partition(AT)
    found = [x for x in installed() if x.name == plain and (not at or x.version == version)]
    return found[-1] if found else None


def installed_at(folder: Path) -> Installed | None:
    """The received bundle whose root a folder is; None for another folder.

    Args:
        folder: absolute or not, perhaps by way of a link.

    Raises:
        InputError: E_CORRUPT, the list is damaged; E_UNTRUSTED, the folder lies where received
            bundles lie, and was not received.
    """
    folder, root = folder.resolve(), received_folder().resolve()
    if not folder.is_relative_to(root):
        return None
    for bundle in read_store().bundles:
        if bundle.folder.resolve() == folder:
            return bundle
    raise InputError(
        "E_UNTRUSTED", folder, "it lies among the received bundles and was not received.",
        "Take it away with `medvol bundle clean`, and receive its file.",
    )  # fmt: skip


def verify(bundle: Installed) -> None:
    """Refuse a received bundle whose files are not those that were received.

    Args:
        bundle: whose files are read and hashed, all of them.

    Raises:
        InputError: E_UNTRUSTED, a file was changed, added or taken away, or the key that signed it
            was revoked.
    """
    folder = bundle.folder
    again = f"Run `medvol bundle remove {bundle.title}`, and receive its file again."
    if bundle.withdrawn:
        reason = "the key that signed it was revoked since it was received."
        raise InputError("E_UNTRUSTED", folder, reason, again)
    try:
        digest = manifest_of(folder, name=bundle.name).digest
    except (InputError, OSError) as error:
        reason = f"its files cannot be read as they were received ({_why(error)})."
        raise InputError("E_UNTRUSTED", folder, reason, again) from error
    if digest != bundle.digest:
        reason = f"its files were changed since it was received: {_changed(bundle)}"
        raise InputError("E_UNTRUSTED", folder, reason, again)


def check_changeable(folder: Path) -> None:
    """Refuse to change a bundle that was received.

    Args:
        folder: of any bundle.

    Raises:
        InputError: E_OUTPUT, it was received; as for `installed_at`.
    """
    if installed_at(folder) is not None:
        reason = "it was received, and stays as it was received."
        raise InputError("E_OUTPUT", folder, reason, "Work on a copy of its folder.")


def withdraw(key: str) -> list[Installed]:
    """Refuse from now on what a key signed.

    Args:
        key: its fingerprint.

    Returns:
        The received bundles that it signed.

    Raises:
        InputError: E_CORRUPT, the list is damaged; E_NOSPACE, it cannot be written.
    """
    with changing_store() as holder:
        signed = [bundle for bundle in holder[0].bundles if bundle.key == key]
        bundles = [replace(x, withdrawn=x.withdrawn or x.key == key) for x in holder[0].bundles]
        holder[0] = holder[0]._replace(bundles=tuple(bundles))
    return signed


def is_version(text: str) -> bool:
    """Whether a bundle of that version can be packed, put into a store and received.

    Args:
        text: of its metadata.

    Example:
        >>> [is_version(x) for x in ("1.2.0", "0.1rc1", "1.0+lab2", "1.0.0-lab2", "new", "1.0/..")]
        [True, True, True, False, False, False]
    """
    return VERSION.fullmatch(text) is not None and version_key(text)[0] == 1


def version_key(version: str) -> Any:
    """What versions are compared by; a text that is not a version is older than all that are.

    Example:
        >>> sorted(["1.10.0", "1.9", "0.1rc1", "new"], key=version_key)
        ['new', '0.1rc1', '1.9', '1.10.0']
    """
    from packaging.version import InvalidVersion, Version

    try:
        return (1, Version(version))
    except InvalidVersion:
        return (0, version)


def _parsed(said: Mapping[str, Any]) -> Store:
    if said["format"] != _FORMAT:
        raise ValueError(f"its format is not {_FORMAT}")
    seen = {name: Seen(**row) for name, row in said["seen"].items()}
    return Store(tuple(map(_installed, said["bundles"])), seen)


def _installed(row: Mapping[str, Any]) -> Installed:
    bundle = Installed(**{**row, "level": Level(row["level"])})
    if not NAME.fullmatch(bundle.name) or "/" in bundle.version or "\\" in bundle.version:
        raise ValueError(f"{bundle.title!r} is not a name and a version")
    return bundle


def _changed(bundle: Installed) -> str:
    """The first file that differs, where its manifest still is the one that was received."""
    from ..manifest import MANIFEST, parse_manifest

    path = bundle.folder / MANIFEST
    try:
        manifest = parse_manifest(path.read_bytes(), path=path)
        differences = manifest.differences(bundle.folder)
    except (InputError, OSError) as error:
        return f"{MANIFEST} cannot be read ({_why(error)})."
    if manifest.digest != bundle.digest:
        return f"{MANIFEST} is not the one that was received."
    more = f" And {len(differences) - 1} more." if len(differences) > 1 else ""
    return f"{differences[0]}{more}"


def _why(error: Exception) -> str:
    words = error.reason if isinstance(error, InputError) else str(error)
    return words.rstrip(".")
