# SPDX-License-Identifier: Apache-2.0
"""Whether a bundle may run here: no code of it does before `permit` says so."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ..audit.verdict import Audit, Item, Level
from ..errors import InputError, printable
from ..manifest import SHORT, Manifest, manifest_of
from ..verified import remember
from .find import PARTS, shipped_folder
from .known import ACCEPTED, AUDITED, OWN, RECEIVED, forget_known, known, rules, write_known
from .store import check_changeable, installed_at, verify

SHIPPED = "shipped"
NEVER = "medvol never runs a bundle of level C"
SHOWN = 120  # characters of a part of a bundle in a message
NOT_NEEDED = Audit(())  # of a bundle that is known
State = frozenset[tuple[str, int, int, int, int]]


class Permit(NamedTuple):
    """That a bundle may run here.

    Args:
        folder: its root.
        digest: of its manifest; empty for one that came with medvol, which is not looked at.
        level: what it asks for.
        how: "shipped", or as for `known.Known`.
    """

    folder: Path
    digest: str
    level: Level
    how: str


class Look(NamedTuple):
    """A bundle that was looked at, and is not known yet.

    Args:
        folder: its root.
        state: of its files on the disk, by which a change shows.
        manifest: of what lies in it.
        audit: of the same files.
    """

    folder: Path
    state: State
    manifest: Manifest
    audit: Audit


_PERMITS: dict[Path, tuple[State, Permit]] = {}  # of this process


def permit(folder: Path) -> Permit:
    """That a bundle may run here, or a refusal; nothing of it is executed before.

    A bundle may that came with medvol, was received, was made here, or was accepted as it is now,
    by its digest; or whose audit finds nothing but parts that are known to be harmless. What its
    files are then is what they are later: see `medvol.verified`.

    Args:
        folder: the bundle's root.

    Raises:
        InputError: E_UNTRUSTED, it carries code that nobody has accepted, asks for what medvol
            never runs, or was received and is not what it was then; E_CHANGED, it changes while it
            is looked at; E_BUNDLE, a link lies in it, or its metadata cannot be read.
    """
    folder = folder.resolve()
    if is_shipped(folder):
        return Permit(folder, "", Level.A, SHIPPED)
    if folder in _PERMITS and _PERMITS[folder][0] == _state(folder):
        return _PERMITS[folder][1]
    found = look_at(folder)
    if isinstance(found, Look):
        if found.audit.level is not Level.A:
            raise refusal_of(found)
        return admit(found)
    return found


def look_at(folder: Path) -> Permit | Look:
    """The permit of a bundle that is known here, or what a first look at another one says.

    Args:
        folder: the bundle's root, not one that came with medvol.

    Raises:
        InputError: E_CHANGED, E_BUNDLE, as for `permit`; E_UNTRUSTED, it was received and is not
            what it was then, or its key was revoked.
    """
    folder = folder.resolve()
    state = _state(folder)
    manifest = manifest_of(folder)
    received = installed_at(folder)
    if received is not None and (received.withdrawn or received.digest != manifest.digest):
        verify(received)  # says what is wrong
    record = known(manifest.digest)
    if record is not None and record.rules == rules():
        looked = Look(folder, state, manifest, NOT_NEEDED)
        _check_same(looked)
        return _kept(looked, record.how, record.level)
    from ..audit.audit import audit  # here: it loads monai

    looked = Look(folder, state, manifest, audit(folder))
    _check_same(looked)
    level = looked.audit.level
    if level is Level.C:
        return looked
    if received is not None and level <= received.level:
        return _written(looked, RECEIVED)
    if record is not None and level <= record.level:
        return _written(looked, record.how)
    return looked


def admit(look: Look) -> Permit:
    """Let a bundle run here from now on, as it is now; of level B by the user's word.

    Args:
        look: at it.

    Raises:
        InputError: E_UNTRUSTED, it asks for what medvol never runs; E_NOSPACE, that it is accepted
            cannot be written down.
    """
    level = look.audit.level
    if level is Level.C:
        raise refusal_of(look)
    if level is Level.A:
        return _written(look, AUDITED)
    write_known(look.manifest, how=ACCEPTED, level=level)
    return _kept(look, ACCEPTED, level)


def permit_or_accept(folder: Path, *, trust: bool) -> Permit:
    """`permit`, where the user's word may stand for what is known.

    Args:
        folder: the bundle's root.
        trust: the user trusts this bundle.

    Raises:
        InputError: as for `permit`; of level C also with `trust`.
    """
    if not trust or is_shipped(folder.resolve()):
        return permit(folder)
    found = look_at(folder)
    return admit(found) if isinstance(found, Look) else found


def record_own(folder: Path, *, level: Level = Level.A) -> None:
    """Write down that a bundle was made here, of one that may run: it needs no word.

    Args:
        folder: the bundle's root.
        level: of the bundle that it was made from.

    Raises:
        InputError: E_NOSPACE, it cannot be written down.
    """
    folder = folder.resolve()
    if not is_shipped(folder):
        write_known(manifest_of(folder), how=OWN, level=level, audited=False)


def forget(digests: Iterable[str]) -> None:
    """Let bundles run no more because of what is known of them: they are looked at anew.

    Args:
        digests: of their manifests.

    Raises:
        InputError: E_NOSPACE, the list of what is known cannot be written.
    """
    going = {*digests}
    forget_known(going)
    for folder in [folder for folder, (_, given) in _PERMITS.items() if given.digest in going]:
        del _PERMITS[folder]


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Let medvol itself change a bundle: one that was made or accepted here is so afterwards.

    Nothing is written down of another one, nor of one with code beside which parts lie that are
    not of it: its code may come from there.

    Args:
        folder: the bundle's root.

    Raises:
        InputError: E_BUNDLE, what the block left is not a bundle; E_NOSPACE, what is known cannot
            be written; E_OUTPUT, it was received, and the block does not begin.
    """
    folder = folder.resolve()
    check_changeable(folder)
    before = None
    if not is_shipped(folder):
        with suppress(InputError):  # not a bundle yet, or a damaged one
            before = known(manifest_of(folder).digest)
    yield
    if before is None or before.how == AUDITED:
        return
    if before.level is Level.A or not (folder.parent / PARTS).is_dir():
        write_known(manifest_of(folder), how=before.how, level=before.level, audited=False)


def is_shipped(folder: Path) -> bool:
    """Whether a bundle is one of those that came with medvol.

    Args:
        folder: its root, without links.
    """
    shipped = shipped_folder()
    return shipped is not None and folder.parent == shipped.resolve()


def refusal_of(look: Look) -> InputError:
    """Why a bundle does not run here, with the part that weighs most and the way out.

    Args:
        look: at it.
    """
    level = look.audit.level
    digest = look.manifest.digest[:SHORT]
    reason = f"{worst_in_words(look.audit)}; {NEVER}."
    remedy = f"See all with `medvol bundle inspect {look.folder}`, which runs nothing of it."
    if level is not Level.C:
        reason = (
            f"{worst_in_words(look.audit)}, and nobody here has accepted it (level B, {digest})."
        )
        remedy = f"Look at it with `medvol bundle inspect {look.folder}`; if you trust it, give "
        remedy += "--trust-this-bundle (in Python trust=True)."
    return InputError("E_UNTRUSTED", look.folder, reason, remedy)


def worst_in_words(found: Audit) -> str:
    """The first of the worst parts, and how many more there are.

    Args:
        found: of a bundle, not of level A.
    """
    items = found.of_level(found.level)
    more = f", and {len(items) - 1} more such parts" if len(items) > 1 else ""
    return f"{in_words(items[0])}{more}"


def in_words(item: Item) -> str:
    """A part of a bundle: where it stands, what it is, and what is said of it.

    Args:
        item: of an audit.
    """
    text = item.text if len(item.text) <= SHOWN else f"{item.text[:SHOWN]}..."
    place = f"{item.file} {item.key}".strip()
    return printable(f"{place} holds `{text}`: {item.reason}")


def _written(look: Look, how: str) -> Permit:
    """The permit, which holds for later processes too where it can be written down."""
    with suppress(InputError, OSError):  # else the bundle is audited again
        write_known(look.manifest, how=how, level=look.audit.level)
    return _kept(look, how, look.audit.level)


def _kept(look: Look, how: str, level: Level) -> Permit:
    """The permit, which holds in this process as long as nothing changes."""
    given = Permit(look.folder, look.manifest.digest, level, how)
    remember(look.folder, {path: file.sha256 for path, file in look.manifest.files.items()})
    _PERMITS[look.folder] = look.state, given
    return given


def _check_same(look: Look) -> None:
    if _state(look.folder) != look.state:
        raise InputError(
            "E_CHANGED", look.folder, "its files change while they are looked at.",
            "Wait until whatever writes them is done.",
        )  # fmt: skip


def _state(folder: Path) -> State:
    """Of all files and folders: path, size, times and number on the disk.

    Whoever puts another content in a place, and the first back again, changes a time of it.
    """
    paths = [str(folder)]
    for above, folders, names in os.walk(folder):
        paths += [os.path.join(above, name) for name in (*folders, *names)]
    found = []
    for path in paths:
        with suppress(OSError):  # gone meanwhile: another state
            x = os.lstat(path)
            found.append((path, x.st_size, x.st_mtime_ns, x.st_ctime_ns, x.st_ino))
    return frozenset(found)
