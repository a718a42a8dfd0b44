# SPDX-License-Identifier: Apache-2.0
"""Which bundles run confined, and what they may reach then."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..audit.verdict import Level
from ..bundle.find import home_folder, shipped_folder, user_folder
from ..bundle.permission import permit
from ..errors import InputError
from ..images.unchanged import HEADERS
from .confine import Confinement, with_links


def reach(
    bundle: Path, *, read: Iterable[str | os.PathLike[str]] = (), write: Iterable[Path] = ()
) -> Confinement:
    """What a confined bundle needs: its own files, what medvol knows of bundles, what it is given.

    Args:
        bundle: its root.
        read: images and other files that it is given; what links in them lead to counts too.
        write: folders of results, that are there.
    """
    own = [bundle, home_folder(), user_folder(), shipped_folder()]
    files = [x for path in read for x in (path, *_beside(Path(path)))]
    readable = {found for path in (*own, *files) if path for found in with_links(Path(path))}
    return Confinement(tuple(sorted(readable)), tuple(os.path.realpath(x) for x in write))


def confinement_for(
    bundle: Path, *, read: Iterable[str | os.PathLike[str]] = (), write: Iterable[Path] = ()
) -> Confinement | None:
    """`reach` of a bundle that carries code; None for a declarative one.

    Args:
        bundle, read, write: as for `reach`.

    Raises:
        InputError: the bundle may not run here, as for `permit`.
    """
    if permit(bundle).level is Level.A:
        return None
    return reach(bundle, read=read, write=write)


def refuse_code(bundle: Path, command: str) -> None:
    """Refuse a bundle that carries code, for a command that cannot confine it.

    Args:
        bundle: its root.
        command: such as "medvol gate-cost".

    Raises:
        InputError: E_UNTRUSTED, it carries code; or it may not run here, as for `permit`.
    """
    if permit(bundle).level is not Level.A:
        raise InputError(
            "E_UNTRUSTED", bundle, f"it carries code, which {command} cannot run confined.",
            "Give a bundle without code of its own.",
        )  # fmt: skip


@contextmanager
def confined(
    bundle: Path, *, read: Iterable[str | os.PathLike[str]], top: Path, names: Iterable[str]
) -> Iterator[Confinement | None]:
    """What a bundle may reach that writes results; None for a declarative one.

    Args:
        bundle, read: as for `reach`.
        top: the folder of all results, which may be read.
        names: of the folders in it, one a case, with `/` between one and another in it: it may
            write into these alone. They are there while the block runs; what stays empty goes.

    Raises:
        InputError: the bundle may not run here, as for `permit`.
    """
    if permit(bundle).level is Level.A:
        yield None
        return
    with _there(top, names) as write:
        yield reach(bundle, read=[*read, top], write=write)


@contextmanager
def _there(top: Path, names: Iterable[str]) -> Iterator[list[Path]]:
    """Make folders that are not there, but none that a link below `top` would lead to."""
    new: set[Path] = set()
    there, real = [], os.path.realpath(top)
    try:
        for name in names:
            folder = top / name
            missing = [x for x in (folder, *folder.parents) if not os.path.lexists(x)]
            with suppress(OSError):  # whoever writes there says why not
                folder.mkdir(parents=True, exist_ok=True)
                new.update(missing)
                if os.path.realpath(folder) == os.path.join(real, *Path(name).parts):
                    there.append(folder)
        yield there
    finally:
        for folder in sorted(new, key=lambda x: len(x.parts), reverse=True):
            with suppress(OSError):  # something lies in it
                folder.rmdir()


def _beside(path: Path) -> list[Path]:
    """The files beside a header, among which its data are."""
    if path.suffix.lower() not in HEADERS:
        return []
    with suppress(OSError):
        return [x for x in path.parent.iterdir() if x.is_file()]
    return []
