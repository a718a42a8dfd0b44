# SPDX-License-Identifier: Apache-2.0
"""A bundle that a command is given is looked at before the command runs, and asked about."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, printable

if TYPE_CHECKING:
    from ..bundle.permission import Look

NAMED = ("bundle", "like", "weights")  # arguments that may name a bundle
LATER = "introduces_itself"  # a default of its parser
MOST = 8  # parts of a bundle that are shown before it is asked about
YES = ("y", "yes")


@contextmanager
def introduced(args: argparse.Namespace) -> Iterator[None]:
    """Look at the bundles that a command is given, for its time; a .zip is unpacked meanwhile.

    A command that sets `LATER` calls `introduce` itself, when it knows that the bundle is needed.
    Nothing happens for a command without `options.add_trust`, and for bundles that came with
    medvol.

    Args:
        args: of the command; a .zip becomes the folder that it is unpacked in.

    Raises:
        InputError: E_UNTRUSTED, a bundle carries code, and the user does not trust it; or as for
            `bundle.permission.permit` and `sharing.archive.quarantined`.
    """
    with ExitStack() as unpacked:
        for name in NAMED if hasattr(args, "trust") else ():
            given, trust = getattr(args, name, None), args.trust
            if given is not None and is_packed(given):
                given, signed = _opened(Path(given), unpacked, trust=trust)
                setattr(args, name, given)
                trust = trust or signed
            if getattr(args, LATER, False):
                args.trust = trust
            elif given is not None and (folder := _folder_of(given)) is not None:
                introduce(folder, trust=trust)
        yield


def opened(given: str, unpacked: ExitStack, *, trust: bool) -> str:
    """One of several bundles that a command is given, looked at as by `introduced`.

    Args:
        given: name, folder or .zip.
        unpacked: while it is open, the folder of a .zip is there.
        trust: the user has said already that it may run.

    Raises:
        InputError: E_BUNDLE, there is none; or as for `introduced`.

    Returns:
        Its name, or the folder that it is in or was unpacked in.
    """
    from ..bundle.find import find_bundle

    if not is_packed(given):
        introduce(find_bundle(given), trust=trust)
        return given
    folder, is_signed = _opened(Path(given), unpacked, trust=trust)
    introduce(folder, trust=trust or is_signed)
    return str(folder)


def is_packed(given: str | os.PathLike[str]) -> bool:
    """Whether what a user names as a bundle is a packed one.

    Args:
        given: name or path.
    """
    return Path(given).suffix.lower() == ".zip" and Path(given).is_file()


def introduce(folder: Path, *, trust: bool, quiet: bool = False) -> None:
    """Show, once, what a bundle that is not known here would do, and ask where it carries code.

    Args:
        folder: the bundle's root.
        trust: the user has said already that it may run.
        quiet: say nothing of a bundle of level A.

    Raises:
        InputError: as for `introduced`.
    """
    from ..audit.verdict import Level
    from ..bundle.permission import Look, admit, is_shipped, look_at, refusal_of

    if is_shipped(folder.resolve()):
        return
    look = look_at(folder)
    if not isinstance(look, Look):
        return
    level = look.audit.level
    if level is Level.A and not quiet:
        _say(f"{_title(look)} is of level A: it carries no code, all its parts are known")
    if level is not Level.A:
        _show(look)
    if level is Level.B and not trust and not _agreed(look):
        raise refusal_of(look)
    admit(look)


def _opened(path: Path, unpacked: ExitStack, *, trust: bool) -> tuple[Path, bool]:
    """A packed bundle's folder in quarantine, and whether somebody signed it who is trusted.

    Raises:
        InputError: E_UNTRUSTED, it was altered, or its key was revoked, or is not trusted and nor
            is the bundle; or as for `sharing.archive.quarantined`.
    """
    from ..sharing.archive import quarantined
    from ..sharing.sealed import read_sealed

    folder = unpacked.enter_context(quarantined(path))
    sealed = read_sealed(folder)
    signer = sealed.signer if sealed is not None else None
    if signer is None:
        return folder, False
    if signer.revoked or not (signer.trusted or trust):
        remedy = "Do not use it; ask who gave it to you."
        if not signer.revoked:
            remedy = "Run `medvol bundle trust add NAME KEY.pub`, or give --trust-this-bundle."
        raise InputError("E_UNTRUSTED", path, f"it was signed by {signer}.", remedy)
    return folder, signer.trusted


def _folder_of(given: str | os.PathLike[str]) -> Path | None:
    """The folder of a bundle; None for what is another thing, which the command looks at itself."""
    from ..bundle.find import find_bundle

    try:
        return find_bundle(given)
    except InputError:
        return None


def _title(look: "Look") -> str:
    return f"{look.manifest.name} {look.manifest.version} ({look.manifest.short})"


def _show(look: "Look") -> None:
    """The parts of a bundle that are not of level A, the worst first."""
    from ..audit.verdict import Level
    from ..bundle.permission import in_words

    worst = [item for level in (Level.C, Level.B) for item in look.audit.of_level(level)]
    _say(f"{_title(look)} is of level {look.audit.level}:")
    for item in worst[:MOST]:
        _say(f"  {item.level} {in_words(item)}")
    if len(worst) > MOST:
        _say(f"  and {len(worst) - MOST} more: medvol bundle inspect {look.folder}")


def _agreed(look: "Look") -> bool:
    """Whether the user says on the terminal that a bundle may run; no without a terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    question = f"Its code can do what you can do. Run {_title(look)}? [y/N] "
    print(f"medvol: {printable(question)}", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in YES


def _say(line: str) -> None:
    print(printable(f"medvol: {line}"), file=sys.stderr, flush=True)
