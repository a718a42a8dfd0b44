# SPDX-License-Identifier: Apache-2.0
"""Receiving a packed bundle: looked at in quarantine, then installed whole or not at all."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..audit.verdict import Level
from ..bundle.find import shipped_bundles
from ..bundle.known import now
from ..bundle.permission import worst_in_words
from ..bundle.store import Installed, Store, changing_store, installed, verify
from ..errors import InputError
from ..failures import write_error
from ..manifest import DIGEST
from .archive import quarantined
from .remove import FILE_MODE, FOLDER_MODE, take_away
from .sealed import Sealed, read_sealed
from .updates import Word, check_shipped, check_update, newer, remedy

if TYPE_CHECKING:
    from .golden import GoldenResult

PACKED = "Ask who gave it to you for a file made by `medvol bundle pack`."
OTHER = "Do not use it; ask who gave it to you."
LOWEST_DICE = 0.99  # of a golden case: other processors move single voxels at an edge
LARGEST_DIFFERENCE = 0.05  # of a probability: bfloat16 moves one by up to 0.02


class Received(NamedTuple):
    """A bundle that is installed now.

    Args:
        bundle: what is known of it.
        signer: who signed it, in words; None where nobody did.
        before: it was there already, and unchanged.
    """

    bundle: Installed
    signer: str | None
    before: bool


def receive(path: Path, *, accepted: str | None = None, signed_by: str | None = None) -> Received:
    """Install a packed bundle under its name, version and digest. Nothing of it is executed.

    Args:
        path: of the .zip.
        accepted: digest of a bundle that the user trusts, 64 hexadecimal digits: whoever signed it,
            and whatever code it carries below level C.
        signed_by: name of the trusted key that must have signed it; None for any, or for none where
            the bundle is of level A.

    Raises:
        InputError: as for `archive.quarantined` and `sealed.read_sealed`; E_BUNDLE, it has no
            manifest; E_UNTRUSTED, it has another digest or signer, its key is not trusted or was
            revoked, its level needs acceptance or is C; and as for `updates`. Then nothing is
            installed.
    """
    with quarantined(path) as folder:
        sealed = read_sealed(folder)
        if sealed is None:
            reason = "it has no manifest, so nobody can say whether it is whole."
            raise InputError("E_BUNDLE", path, reason, PACKED)
        if accepted is None and _accepted_before(sealed.manifest.digest):
            accepted = sealed.manifest.digest
        word = _word(sealed, path, accepted=accepted, signed_by=signed_by)
        check_shipped(sealed.manifest, word, shipped_bundles(), path=path)
        with changing_store() as holder:
            check_update(sealed.manifest, word, holder[0], path=path)
            bundle = _bundle(sealed, word, _level(folder, sealed, word, path))
            holder[0], before = _settled(holder[0], bundle, folder)
            bundle = holder[0].bundles[-1]
    return Received(bundle, str(sealed.signer) if sealed.signer else None, before)


def try_golden(bundle: Installed, *, seconds: float | None = None) -> "GoldenResult | None":
    """Run the golden case of a received bundle here, in a process of its own.

    Args:
        bundle: that was received; one with code of its own is confined.
        seconds: s that it may take; None for what is usual.

    Raises:
        InputError: the bundle does not run, or its golden case cannot be compared.

    Returns:
        How the answer agrees with that of the lab that packed it; None for a bundle without a
        golden case.
    """
    from ..engine.child import Child
    from ..engine.confined import reach
    from ..engine.limits import usual_limits
    from . import golden  # its answer cannot be read here without it

    folder = bundle.folder
    confinement = None if bundle.level is Level.A else reach(folder)
    work = f"{golden.__name__}:{golden.runner.__name__}"
    limits = usual_limits(seconds, confined=confinement is not None)
    with Child(work, limits=limits, confinement=confinement) as child:
        result: GoldenResult | None = child.ask(folder)
    return result


def agrees(result: "GoldenResult") -> bool:
    """Whether a bundle runs here as it did where it was packed.

    Args:
        result: of its golden case.
    """
    differs = result.probability_difference
    low = any(not dice >= LOWEST_DICE for dice in result.dice.values())
    return not low and (differs is None or differs <= LARGEST_DIFFERENCE)


def _accepted_before(digest: str) -> bool:
    """Whether these very files are installed, by the user's word."""
    return any(x.digest == digest and x.accepted and not x.withdrawn for x in installed())


def _word(sealed: Sealed, path: Path, *, accepted: str | None, signed_by: str | None) -> Word:
    """What stands for a bundle; refused where that contradicts what the user said, or is broken."""
    manifest, signer = sealed
    if accepted is not None and not DIGEST.fullmatch(accepted.strip().lower()):
        reason = f"{accepted!r} was accepted, and a digest has 64 hexadecimal digits."
        digits = "Give all of them, as `medvol bundle inspect` prints them."
        raise InputError("E_UNTRUSTED", path, reason, digits)
    if accepted is not None and accepted.strip().lower() != manifest.digest:
        reason = f"its digest is {manifest.digest}, and another one was accepted."
        raise InputError("E_UNTRUSTED", path, reason, OTHER)
    if signer is not None and signer.revoked is not None:
        reason = f"it was signed with a revoked key: {signer}."
        raise InputError("E_UNTRUSTED", path, reason, OTHER)
    trusted = signer.name if signer is not None else None
    if signed_by is not None and trusted != signed_by:
        reason = f"it was signed by {signer or 'nobody'}, and not by {signed_by}."
        raise InputError("E_UNTRUSTED", path, reason, OTHER)
    if signer is not None and trusted is None and accepted is None:
        reason = f"it was signed by {signer}."
        raise InputError("E_UNTRUSTED", path, reason, remedy(path, manifest, signed=True))
    return Word(accepted is not None, trusted)


def _level(folder: Path, sealed: Sealed, word: Word, path: Path) -> Level:
    """The level of a bundle that may be installed."""
    from ..audit.audit import audit  # here: it loads monai

    found = audit(folder)
    level = found.level
    if level is Level.A or (level is Level.B and word.enough):
        return level
    reason = f"it is of level {level}: {worst_in_words(found)}"
    if level is Level.C:
        look = f"See all with `medvol bundle inspect`, which runs nothing of it. {OTHER}"
        raise InputError("E_UNTRUSTED", path, f"{reason}; medvol never runs such a bundle.", look)
    raise InputError("E_UNTRUSTED", path, f"{reason}.", remedy(path, sealed.manifest))


def _bundle(sealed: Sealed, word: Word, level: Level) -> Installed:
    manifest, signer = sealed
    return Installed(
        manifest.name, manifest.version, manifest.digest, level, signer=word.signer,
        key=signer.fingerprint if signer else None, accepted=word.accepted, received=now(),
    )  # fmt: skip


def _settled(store: Store, bundle: Installed, folder: Path) -> tuple[Store, bool]:
    """The store with a bundle as its last, moved to its place; and whether it was there."""
    same = next((known for known in store.bundles if known.digest == bundle.digest), None)
    before = same is not None and _is_whole(bundle)
    if not before:
        _move(folder, bundle.folder)
    if same is not None and not same.withdrawn:  # what stood for it still does
        bundle = replace(bundle, accepted=bundle.accepted or same.accepted, received=same.received)
        if bundle.key is None:  # the same files, without the signature
            bundle = replace(bundle, signer=same.signer, key=same.key)
    others = [known for known in store.bundles if known.digest != bundle.digest]
    seen = newer(store.seen.get(bundle.name), bundle)
    return Store((*others, bundle), {**store.seen, bundle.name: seen}), before


def _is_whole(bundle: Installed) -> bool:
    try:
        verify(bundle)
    except InputError:
        return False
    return True


def _move(folder: Path, place: Path) -> None:
    """Rename a folder to its place, where nothing can be written any more.

    What lies there, of a process that was killed or of somebody else, goes.
    """
    try:
        take_away(place.parent)
        place.parent.mkdir(mode=0o700, parents=True)
        folder.rename(place)
        for path in sorted(place.rglob("*"), reverse=True):
            path.chmod(FOLDER_MODE if path.is_dir() else FILE_MODE)
        place.chmod(FOLDER_MODE)
    except OSError as error:
        with suppress(OSError):
            take_away(place.parent)
        raise write_error(place, error) from error
