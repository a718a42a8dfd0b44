# SPDX-License-Identifier: Apache-2.0
"""Whose a file in an output folder is: what medvol wrote itself, unchanged since, or not its own.

Two records say so, each with a seal over its content: `run.json`, of all files beside it that one
prediction wrote, and `.medvol.json`, of what other commands wrote into a folder. A file that
neither lists with its checksum is never replaced or removed.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PureWindowsPath
from typing import Any

from .errors import InputError
from .files import SCRATCH, made, sha256_of, write_failure, write_json

RUN, MANIFEST = "run.json", ".medvol.json"
FILES, DATA, SEAL = "files", "data", "record_sha256"  # keys of a record
ASIDE = "Move or rename it, or choose another output folder."


def read_record(path: Path) -> dict[str, Any]:
    """Content of a record that medvol wrote and nobody changed; empty for anything else."""
    content = _content(path)
    return content if content.pop(SEAL, None) == _seal(content) else {}


def write_record(path: Path, content: Mapping[str, Any]) -> None:
    """Write a record with its seal.

    Args:
        path: of `RUN` or `MANIFEST` in a folder.
        content: what JSON knows; under `FILES` name to checksum, see `checksums`.

    Raises:
        InputError: E_NOSPACE, it cannot be written.
    """
    text = json.dumps(content, allow_nan=False, default=str)
    write_json(path, {**content, SEAL: _seal(json.loads(text))})


def checksums(folder: Path) -> dict[str, str]:
    """All files below a folder: name with `/` between folders -> checksum; of a link its target."""
    return {path.relative_to(folder).as_posix(): _checksum(path) for path in _files(folder)}


def check_owned(folder: Path, names: Iterable[str]) -> None:
    """Refuse to replace or remove what medvol did not write, or what was changed since.

    Args:
        folder: that holds the files, or will.
        names: of files in it, as `checksums` has them; those that are not there do not count.

    Raises:
        InputError: E_OUTPUT, names the first file that is there and is not medvol's own.
    """
    records = [read_record(folder / record).get(FILES, {}) for record in (RUN, MANIFEST)]
    for name in names:
        path = folder / name
        between = [folder / place for place in Path(name).parents if place.name]
        if linked := next(filter(Path.is_symlink, between), None):
            reason = "it is a link to another folder, into which the results would go."
            raise InputError("E_OUTPUT", linked, reason, ASIDE)
        if not os.path.lexists(path) or (name in (RUN, MANIFEST) and read_record(path)):
            continue
        known = {record[name] for record in records if name in record}
        if path.is_dir() or not known:
            reason = "it would be replaced, and nothing says that medvol wrote it."
            raise InputError("E_OUTPUT", path, reason, ASIDE)
        if _checksum(path) not in known:
            reason = "it would be replaced, but was changed since medvol wrote it."
            raise InputError("E_OUTPUT", path, reason, ASIDE)


def withdraw(folder: Path, names: Iterable[str]) -> None:
    """Take files of an older run away, which would contradict what is to come.

    Args:
        folder: that holds them, or will.
        names: as for `check_owned`.

    Raises:
        InputError: E_OUTPUT, one is not medvol's own, and all stay; E_NOSPACE, the folder cannot
            be written.
    """
    names = list(names)
    check_owned(folder, names)
    for name in names:
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise write_failure(error, folder / name) from error


@contextmanager
def filling(
    folder: str | os.PathLike[str], *, data: bool = False, old: Collection[str] = ()
) -> Iterator[Path]:
    """Give an empty folder in `folder`; when the block ends well all files in it move up.

    They take the place of what medvol wrote there before, and of nothing else. A `RUN` among them
    is the record of them all, and what the older one lists besides is removed; without one they are
    listed in `MANIFEST`. When the block raises, everything in `folder` stays as it was.

    Args:
        folder: made when it is not there.
        data: other commands may read the files as input; else they are results, which are never
            taken for input.
        old: names of files of an older run, that are removed where they are not written again.

    Raises:
        InputError: E_OUTPUT, something there is not medvol's own; E_NOSPACE, the disk is full or
            the folder cannot be written.
    """
    final = Path(folder)
    try:
        with made(final):
            scratch = Path(tempfile.mkdtemp(prefix=f"{SCRATCH}{os.getpid()}-", dir=final))
            try:
                yield scratch
                _settle(scratch, final, data, old)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise write_failure(error, final) from error


def results_in(folder: Path) -> set[str]:
    """Names of the files directly in a folder that are results of medvol, which are never input.

    So say the records in the folder, and those in the folder around it, whoever changed them.
    """
    folder = folder.absolute()
    found = {RUN} if _content(folder / RUN) else set[str]()
    for place, prefix in ((folder, ""), (folder.parent, f"{folder.name}/")):
        for record in (_content(place / RUN), _content(place / MANIFEST)):
            names = set(record.get(FILES, ())).difference(record.get(DATA, ()))
            found |= {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    return {name for name in found if "/" not in name}


def claim(folder: Path, names: Iterable[str]) -> None:
    """List files in a folder as medvol's own, which other commands may read.

    Args:
        folder: that holds them.
        names: as `checksums` has them.

    Raises:
        InputError: E_NOSPACE, the list cannot be written.
    """
    _list(folder, folder, {name: _checksum(folder / name) for name in names}, data=True)


@contextmanager
def renewing(folder: Path, names: Collection[str]) -> Iterator[None]:
    """Let files of a folder be written in their places; of one with a list, only medvol's own.

    Args:
        folder: such as a bundle: one that medvol made has a list, one from elsewhere has none.
        names: of the files that the block writes, as `checksums` has them.

    Raises:
        InputError: E_OUTPUT, the folder has a list, and one is not medvol's own.
    """
    listed = bool(read_record(folder / MANIFEST))
    if listed:
        check_owned(folder, names)
    yield
    if listed:
        claim(folder, names)


def _list(
    folder: Path, final: Path, new: Mapping[str, str], *, data: bool, old: Collection[str] = ()
) -> None:
    """Write into a folder what the list in `final` says, with new files, without old ones."""
    record = read_record(final / MANIFEST)
    images = {name for name in new if data and not name.endswith(".json")}  # no datalists
    inputs = {*record.get(DATA, ())}.difference(new, old).union(images)
    kept = {name: x for name, x in record.get(FILES, {}).items() if name not in old}
    files = {**kept, **new}
    write_record(folder / MANIFEST, {FILES: files, DATA: sorted(inputs)})


def _settle(scratch: Path, final: Path, data: bool, old: Collection[str]) -> None:
    """Move what is in `scratch` into `final`, where that replaces nothing but medvol's own.

    At each moment the record in `final` lists all that is medvol's there: so also after a kill.
    """
    record = RUN if (scratch / RUN).is_file() else MANIFEST
    if record == RUN:
        old = read_record(final / RUN).get(FILES, ())
    else:
        _list(scratch, final, checksums(scratch), data=data, old=old)
    new = [path.relative_to(scratch).as_posix() for path in _files(scratch)]
    check_owned(final, [*new, *old])
    aside = Path(tempfile.mkdtemp(dir=scratch))
    with suppress(FileNotFoundError):
        shutil.copyfile(final / record, aside / record)
    new.remove(record)
    before = [name for name in {*new, *old} if os.path.lexists(final / name)]
    moves = [(final / name, aside / name) for name in before]
    moves += [(scratch / name, final / name) for name in (record, *new)]
    back = [(aside / record, final / record)]
    try:
        for source, target in moves:
            back.append((target, source))
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
    except BaseException:
        for source, target in reversed(back):
            with suppress(OSError):  # the one that was not moved
                os.replace(source, target)
            with suppress(OSError):  # a folder that was there before
                source.parent.rmdir()
        raise
    for name in set(before).difference(new):
        with suppress(OSError):  # its folder stays where something else is in it
            (final / name).parent.rmdir()


def _files(folder: Path) -> list[Path]:
    return sorted(Path(top, name) for top, _, names in os.walk(folder) for name in names)


def _content(path: Path) -> dict[str, Any]:
    """Content of what has the form of a record and a seal, valid or not; or nothing."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    files = content.get(FILES) if isinstance(content, dict) else None
    inside = isinstance(files, dict) and SEAL in content and all(map(_is_inside, files))
    return content if inside else {}


def _is_inside(name: str) -> bool:
    """Whether a name in a record, which may come from anybody, stays within the folder."""
    parts = PureWindowsPath(name)  # knows both slashes and drives
    return not parts.anchor and ".." not in parts.parts


def _checksum(path: Path) -> str:
    return f"link to {os.readlink(path)}" if path.is_symlink() else sha256_of(path)


def _seal(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
