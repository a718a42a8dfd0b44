# SPDX-License-Identifier: Apache-2.0
"""Taking away received bundles, and what receiving them left; never own or shipped ones."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..bundle.find import all_bundles
from ..bundle.permission import forget as forget_permits
from ..bundle.places import home_folder
from ..bundle.store import AT, Store, changing_store, newest, received_folder
from ..errors import InputError
from ..failures import write_error
from ..scratch import is_left, prefix
from .archive import quarantine_folder

FILE_MODE, FOLDER_MODE = 0o444, 0o555  # of received bundles: nothing is written there
WRITABLE = 0o700  # of a folder that goes


class Gone(NamedTuple):
    """Something that was taken away.

    Args:
        what: in words.
        size: bytes.
    """

    what: str
    size: int

    def __str__(self) -> str:
        return f"{self.what} removed ({self.size / 1e6:.1f} MB)"


def remove(name: str, *, forget: bool = False) -> list[Gone]:
    """Take away a received bundle.

    Its newest version is remembered, so that an older one is not received later, unless told. That
    it was accepted is not: the same files elsewhere are looked at anew.

    Args:
        name: of the bundle for all its versions, or NAME@VERSION for one.
        forget: forget the name too: any version of it may be received then.

    Raises:
        InputError: E_BUNDLE, no such bundle was received, or one version cannot be forgotten;
            E_NOSPACE, it cannot be taken away.
    """
    plain, at, version = name.partition(AT)
    if forget and at:
        reason = "a name is forgotten with all its versions."
        raise InputError("E_BUNDLE", name, reason, f"Say `medvol bundle remove {plain} --forget`.")
    with changing_store() as holder:
        store = holder[0]
        going = [x for x in store.bundles if x.name == plain and (not at or x.version == version)]
        if not going and not (forget and plain in store.seen):
            raise InputError("E_BUNDLE", name, "no such bundle was received.", _there(name, store))
        seen = {key: one for key, one in store.seen.items() if not (forget and key == plain)}
        holder[0] = Store(tuple(x for x in store.bundles if x not in going), seen)
        aside = _set_aside([bundle.folder.parent for bundle in going])
    forget_permits(bundle.digest for bundle in going)
    titles = [bundle.title for bundle in going]
    return [_taken(place, title) for place, title in zip(aside, titles, strict=True)]


def clean(*, old: bool = False) -> list[Gone]:
    """Take away what processes that are gone left in quarantine and among the received bundles.

    Args:
        old: also every received version of a bundle but the newest.

    Raises:
        InputError: E_CORRUPT, the list of received bundles is damaged; E_NOSPACE, something cannot
            be taken away.
    """
    gone: list[Gone] = []
    if old:
        kept = {bundle.title for bundle in newest()}
        with changing_store() as holder:
            store = holder[0]
            staying = tuple(bundle for bundle in store.bundles if bundle.title in kept)
            going = [bundle for bundle in store.bundles if bundle.title not in kept]
            holder[0] = store._replace(bundles=staying)
            aside = _set_aside([bundle.folder.parent for bundle in going])
        forget_permits(bundle.digest for bundle in going)
        gone += [_taken(place, x.title) for place, x in zip(aside, going, strict=True)]
    if received_folder().is_dir():
        with changing_store() as holder:  # nobody is receiving meanwhile
            known = {bundle.folder.parent for bundle in holder[0].bundles}
            strange = [place for place in received_folder().glob("*/*") if place not in known]
            aside = _set_aside(strange)
        names = [place.relative_to(received_folder()) for place in strange]
        gone += [
            _taken(place, f"{name}, which was not received whole,")
            for place, name in zip(aside, names, strict=True)
        ]
    for root, what in (
        (quarantine_folder(), "something in quarantine"),
        (home_folder(), "an unfinished file"),
        (Path(tempfile.gettempdir()), "a temporary folder"),
    ):
        left = [place for place in _entries(root) if is_left(place)]
        gone += [_taken(place, what) for place in left]
    return gone


def take_away(place: Path) -> None:
    """Take away a file, or a folder with all that is in it, also where nothing may be written.

    Args:
        place: that may be gone already. A link goes, and what it leads to stays.

    Raises:
        OSError: something in it cannot be taken away.
    """
    if place.is_symlink() or not place.is_dir():
        place.unlink(missing_ok=True)
        return
    for above, folders, names in os.walk(place):
        os.chmod(above, WRITABLE)
        if os.name == "nt":  # there a file that may not be written may not be removed either
            for name in (*folders, *names):
                os.chmod(Path(above, name), stat.S_IWRITE)
    shutil.rmtree(place)


def _set_aside(places: Sequence[Path]) -> list[Path]:
    """Rename folders into the quarantine, each at once, and say where they are."""
    aside = []
    try:
        quarantine_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        for place in places:
            new = Path(tempfile.mkdtemp(prefix=prefix(), dir=quarantine_folder()))
            with suppress(FileNotFoundError):  # somebody took it away by hand
                place.rename(new / place.name)
            with suppress(OSError):  # other versions lie there
                place.parent.rmdir()
            aside.append(new)
    except OSError as error:
        raise write_error(received_folder(), error) from error
    return aside


def _taken(place: Path, what: str) -> Gone:
    size = sum(path.lstat().st_size for path in (place, *place.rglob("*")) if not path.is_dir())
    try:
        take_away(place)
    except OSError as error:
        raise write_error(place, error) from error
    return Gone(what, size)


def _entries(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from [*folder.iterdir()]


def _there(name: str, store: Store) -> str:
    """What can be removed in place of a name that cannot."""
    if (folder := all_bundles().get(name)) is not None:
        return f"It is your own or came with medvol, and stays in {folder}."
    titles = ", ".join(sorted(bundle.title for bundle in store.bundles))
    return f"Received are: {titles or 'none'}."
