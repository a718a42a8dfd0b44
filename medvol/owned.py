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
from .files import made, sha256_of, write_failure, write_json
from .scratch import prefix, sweep_left

RUN, MANIFEST = "run.json", ".medvol.json"
FILES, DATA, SEAL = "files", "data", "record_sha256"  # keys of a record
UNFINISHED = "unfinished"  # key of a list: files of a run that moves in, or was killed at it
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
    listed in `MANIFEST`. When the block raises, everything in `folder` stays as it was. What killed
    processes left in it goes.

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
            sweep_left(final)
            scratch = Path(tempfile.mkdtemp(prefix=prefix(), dir=final))
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
    for place, inside in ((folder, ""), (folder.parent, f"{folder.name}/")):
        for record in (_content(place / RUN), _content(place / MANIFEST)):
            names = set(record.get(FILES, ())).difference(record.get(DATA, ()))
            found |= {name.removeprefix(inside) for name in names if name.startswith(inside)}
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
    half = sorted(set(record.get(UNFINISHED, ())).intersection(kept).difference(new))
    content = {FILES: files, DATA: sorted(inputs), **({UNFINISHED: half} if half else {})}
    write_record(folder / MANIFEST, content)


def _settle(scratch: Path, final: Path, data: bool, old: Collection[str]) -> None:
    """Move what is in `scratch` into `final`, where that replaces nothing but medvol's own.

    At each moment the lists in `final` name all that is medvol's there: so also after a kill. The
    record of a run is the first to go and the last to come: where it lies, the run is complete.
    """
    new = checksums(scratch)
    if RUN in new:
        half = read_record(final / MANIFEST).get(UNFINISHED, ())
        old = {*half, *read_record(final / RUN).get(FILES, ())}
    else:
        _list(scratch, final, new, data=data, old=old)
    check_owned(final, [*new, *old, MANIFEST])
    there = [name for name in {*new, *old} if name != RUN and os.path.lexists(final / name)]
    aside = Path(tempfile.mkdtemp(dir=scratch))
    out = [(final / name, aside / name) for name in there]
    into = [(scratch / name, final / name) for name in new if name != RUN]
    place = final / MANIFEST
    if RUN in new:
        first, second, last = _lists(final, aside, new, there)
        record = [(final / RUN, aside / RUN)] if os.path.lexists(final / RUN) else []
        moves = [
            (first, place),
            *record,
            *out,
            (second, place),
            *into,
            (scratch / RUN, final / RUN),
        ]
        moves.append((last, place) if last.is_file() else (place, last))
    else:
        moves = [*out, (scratch / MANIFEST, place), *into]
    _move(moves, place, aside / "before")
    for name in set(there).difference(new):
        with suppress(OSError):  # its folder stays where something else is in it
            (final / name).parent.rmdir()


def _lists(
    final: Path, aside: Path, new: Mapping[str, str], there: Iterable[str]
) -> tuple[Path, Path, Path]:
    """Lists for `MANIFEST` while a run moves in: of what goes, of what comes, and of what stays.

    The last is not there where nothing stays.
    """
    record = read_record(final / MANIFEST)
    half = record.get(UNFINISHED, ())
    listed = record.get(FILES, {})
    kept = {name: x for name, x in listed.items() if name not in {*new, *half}}
    going = {name: _checksum(final / name) for name in there}
    coming = {name: x for name, x in new.items() if name != RUN}
    paths = aside / "going.json", aside / "coming.json", aside / "staying.json"
    for path, own in zip(paths, (going, coming, {}), strict=True):
        inputs = sorted({*record.get(DATA, ())}.intersection(kept))
        content = {FILES: {**kept, **own}, DATA: inputs, **({UNFINISHED: [*own]} if own else {})}
        if content[FILES] or path != paths[-1]:
            write_record(path, content)
    return paths


def _move(moves: Iterable[tuple[Path, Path]], manifest: Path, before: Path) -> None:
    """Do all moves, or none.

    Args:
        moves: from where to where, in this order; where something lies there already, it is the
            manifest.
        manifest: the list that is replaced.
        before: where it is kept meanwhile.
    """
    if was := manifest.is_file():
        shutil.copyfile(manifest, before)
    back: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            if manifest not in (source, target):
                back.append((target, source))
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
    except BaseException:
        for source, target in reversed(back):
            with suppress(OSError):  # the one that was not moved
                os.replace(source, target)
            with suppress(OSError):  # a folder that was there before
                source.parent.rmdir()
        with suppress(OSError):
            if was:
                os.replace(before, manifest)
            else:
                manifest.unlink(missing_ok=True)
        raise


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
