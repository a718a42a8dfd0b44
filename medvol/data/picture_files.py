# SPDX-License-Identifier: Apache-2.0
"""Files of a picture data set: found in folders and archives, laid out as folders of classes."""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from ..errors import InputError
from ..images.archive import unpack
from ..images.files import walk
from ..images.find import CaseNames, find_radiographs, passed_by
from ..owned import DATA, MANIFEST, read_record
from .datalist import Datalist, Item
from .folder import say_notes

Handling = Literal["stay", "copy", "link"]
FOLDERS = {"training": "train", "validation": "validation", "test": "test"}  # of the parts
UNPACKED = ".unpacked"


def find_pictures(sources: Sequence[Path], scratch: Path) -> dict[str, Path]:
    """All radiographs of folders and zip archives; lines of the log say what else is there.

    Args:
        sources: folders, archives, or folders that hold archives in place of pictures.
        scratch: an empty folder, into which archives are unpacked.

    Returns:
        Name as the source has it (`/` between folders, the source's own folders included) -> file.

    Raises:
        InputError: E_PATH, no such source; E_EMPTY, no picture in them; what
            `images.archive.unpack` refuses.
    """
    found: dict[str, Path] = {}
    for source in sources:
        for path in [source] if source.is_file() else _pictures_or_archives(source):
            if path.suffix.lower() == ".zip":
                found.update(_unpacked(path, scratch / UNPACKED))
            else:
                found[path.absolute().as_posix()] = path.absolute()
    if not found:
        raise InputError(
            "E_EMPTY", sources[0], "there is no radiograph in it.",
            "Name a folder of pictures or DICOM files, or the .zip files as they were downloaded.",
        )  # fmt: skip
    return found


def _pictures_or_archives(folder: Path) -> list[Path]:
    found = find_radiographs(folder) or [p for p in walk(folder) if p.suffix.lower() == ".zip"]
    say_notes(folder, passed_by(folder, found).notes)
    return found


def _unpacked(archive: Path, scratch: Path) -> dict[str, Path]:
    """Members of an archive that look like radiographs, under the names that they had."""
    folder = scratch / f"{len(os.listdir(scratch)) if scratch.exists() else 0:03d}"
    folder.mkdir(parents=True)
    names = unpack(archive, folder)
    found = find_radiographs(folder)
    say_notes(archive, passed_by(folder, found).notes)
    return {names[file].replace("\\", "/"): file for file in found}


@contextmanager
def names_of_members(scratch: Path) -> Iterator[Path]:
    """Give `scratch`; refusals of files in it name the member of the archive, not a lost place.

    Raises:
        InputError: what the block refuses, its path the member's name.
    """
    try:
        yield scratch
    except InputError as error:
        if scratch not in Path(error.path).parents:
            raise
        name = Path(error.path).name
        raise InputError(error.code, name, error.reason, error.remedy) from error


def lay_out(
    datalist: Datalist,
    folder: Path,
    *,
    handling: Handling,
    aside: Mapping[str, Sequence[Path]] | None = None,
) -> Datalist:
    """Put the pictures into folders `train/<class>`, `validation/<class>` and `test/<class>`.

    Args:
        datalist: with classes.
        folder: of `atomic.filling`; what was unpacked there moves, whatever `handling` is.
        handling: "copy", "link" (symbolic links), or "stay": pictures keep their places.
        aside: further pictures, by the name of the folder that they go to.

    Returns:
        The datalist with the new paths relative to `folder`, and those of `aside` as `set_aside`.
    """
    parts = {
        part: [{**item, "image": _placed(item, folder, FOLDERS[part], handling)} for item in items]
        for part, items in datalist.parts.items()
    }
    set_aside: dict[str, list[str]] = {}
    for name, paths in (aside or {}).items():
        stems = CaseNames()
        for path in paths:
            target = folder / name / f"{stems.new(path.stem)}{path.suffix}"
            _place(path, target, folder, handling)
            set_aside.setdefault(name, []).append(target.relative_to(folder).as_posix())
    shutil.rmtree(folder / UNPACKED, ignore_errors=True)
    aside_names = {"set_aside": set_aside} if set_aside else {}
    return Datalist({**datalist.content, **parts, **aside_names})


def _placed(item: Item, folder: Path, part: str, handling: Handling) -> str:
    source = Path(item["image"])
    target = folder / part / item["class"] / f"{item['case']}{source.suffix}"
    if handling == "stay" and folder not in source.parents:
        return str(source)
    _place(source, target, folder, handling)
    return target.relative_to(folder).as_posix()


def _place(source: Path, target: Path, folder: Path, handling: Handling) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if folder in source.parents:
        os.replace(source, target)
    elif handling == "link":
        target.symlink_to(source.resolve())
    else:
        shutil.copyfile(source, target)


def of_older_run(output: Path) -> list[str]:
    """Pictures beside a datalist that `lay_out` put there for an older one of its name.

    Args:
        output: the datalist that will be written.

    Returns:
        Their names, from the datalist's folder.
    """
    root = output.parent.absolute()
    written = read_record(root / MANIFEST).get(DATA, ())
    try:
        old = Datalist.read(output)
    except InputError:
        return []
    paths = [Path(item["image"]) for items in old.parts.values() for item in items]
    paths += [
        root / name for names in dict(old.about.get("set_aside", {})).values() for name in names
    ]
    names = (path.relative_to(root).as_posix() for path in paths if path.is_relative_to(root))
    return sorted({*names}.intersection(written))


def check_sources(
    folder: Path, scratch: Path, old: Iterable[str], sources: Iterable[Path]
) -> None:  # fmt: skip
    """Refuse to lay pictures out among those that the data set is made of.

    Args:
        folder: of the datalist.
        scratch: what will move there.
        old: what goes from there, see `of_older_run`.
        sources: pictures that the data set is made of.

    Raises:
        InputError: E_OUTPUT, names the first of them.
    """
    made = {path.name for path in scratch.iterdir() if path.is_dir()}
    places = {folder.absolute() / name for name in made.union(Path(name).parts[0] for name in old)}
    for path in sources:
        if not places.isdisjoint(path.absolute().parents):
            reason = "it is read now, and lies where the pictures of the data set go."
            remedy = "Write the datalist into a folder of its own."
            raise InputError("E_OUTPUT", path, reason, remedy)
