# SPDX-License-Identifier: Apache-2.0
"""Pictures with classes on the way to a datalist: joined, divided, listed, checked for leaks."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from ..images.find import CaseNames
from ..labels import name_key
from ..owned import filling
from ..text import counted
from .datalist import PARTS, Datalist, Item
from .leaks import Fingerprint, LeakError, find_leaks, fingerprints, same_pictures
from .picture_files import Handling, check_sources, lay_out, names_of_members, of_older_run
from .sources import Source, options_of, summary
from .split import PictureFile, assign_parts, join_patients

Divide = Callable[[Sequence[PictureFile], int], Sequence[PictureFile]]


def by_shares(**shares: float) -> Divide:
    """Division by shares of the parts that sum to 1, another for each seed; see `assign_parts`."""
    return lambda pictures, seed: assign_parts(pictures, shares, seed=seed)


USUAL = by_shares(training=0.7, validation=0.15, test=0.15)


@dataclass(frozen=True)
class ClassSet:
    """What one source holds.

    Args:
        pictures: those that the datalist may list.
        names: of the classes; the first has label 0.
        about: name, description, licence, reference.
        notes: sentences on what was decided and left out.
        pairs: places in `pictures` that the source calls near duplicates.
        aside: pictures that are kept out of the parts, by the name of the folder that they go to.
        divide: gives every picture without a part one, or leaves it out.
    """

    pictures: Sequence[PictureFile]
    names: tuple[str, ...]
    about: Mapping[str, str]
    notes: tuple[str, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()
    aside: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    divide: Divide = USUAL

    def only(self, places: Sequence[int]) -> Self:
        """The set without the pictures at other places, and the pairs that are then left."""
        index = {at: number for number, at in enumerate(places)}
        pairs = ((index[a], index[b]) for a, b in self.pairs if a in index and b in index)
        return replace(self, pictures=[self.pictures[at] for at in places], pairs=tuple(pairs))


def one_spelling(names: Iterable[str]) -> dict[str, str]:
    """Each spelling of a class to the one that counts: the commonest, of equal ones the first.

    Args:
        names: of the classes of pictures, one a picture; compared as `labels.name_key` makes them.

    Example:
        >>> one_spelling(["NORMAL", "Normal", "normal", "Normal", "ill"])
        {'Normal': 'Normal', 'NORMAL': 'Normal', 'normal': 'Normal', 'ill': 'ill'}
    """
    chosen: dict[str, str] = {}
    commonest = [name for name, _ in Counter(names).most_common()]
    return {name: chosen.setdefault(name_key(name), name) for name in commonest}


def class_datalist(
    source: ClassSet, prints: Mapping[Path, Fingerprint], *, seed: int = 0
) -> Datalist:
    """Join patients whose pictures are the same, give each picture a part, and check for leaks.

    Pictures with a part keep it and their patient; if one of them is the same as a picture of
    another part, that is a leak, not repaired.

    Args:
        source: the pictures.
        prints: fingerprint of each.
        seed: for another division.

    Returns:
        The datalist; its `notes` say what was decided.

    Raises:
        LeakError: a patient or a picture would stand in two parts.
        ValueError: shares that cannot be.
    """
    free = source.only([at for at, p in enumerate(source.pictures) if not p.part])
    same = same_pictures([prints[picture.path] for picture in free.pictures])
    pairs = [(pair.one, pair.other) for pair in same]
    joined, lost = join_patients(free.pictures, [*free.pairs, *pairs])
    rest = iter(joined)
    pictures = [picture if picture.part else next(rest) for picture in source.pictures]
    notes = list(source.notes)
    if pairs:
        equal = sum(pair.equal for pair in same)
        notes.append(
            f"Never divided: {counted(len(pairs), 'pair')} of the same picture ({equal} "
            "pixel-identical)."
        )
    if lost:
        notes.append(f"Joined with another, since they share pictures: {counted(lost, 'patient')}.")
    datalist = list_classes(source.divide(pictures, seed), source.names, about=source.about)
    if leaks := find_leaks(datalist, prints):
        raise LeakError(leaks)
    return replace(datalist, content={**datalist.content, "notes": notes})


def list_classes(
    pictures: Sequence[PictureFile], names: Sequence[str], *, about: Mapping[str, Any]
) -> Datalist:
    """The datalist of pictures that all have a part, in the order given.

    Args:
        pictures: any order.
        names: of the classes; the first has label 0.
        about: name, description, licence, reference, and what else stands at the top.

    Raises:
        ValueError: a class that is not in `names`.
    """
    parts: dict[str, list[Item]] = {part: [] for part in PARTS}
    names_of_cases = CaseNames()
    for picture in pictures:
        item = {
            "image": str(picture.path),
            "label": names.index(picture.name),
            "class": picture.name,
            "case": names_of_cases.new(picture.path.stem),
            "patient": picture.patient,
        }
        parts[picture.part].append({**item, **picture.extra})
    labels = {str(label): name for label, name in enumerate(names)}
    return Datalist({**about, "labels": labels, "modality": {"0": "XR"}, **parts})


def class_rows(datalist: Datalist) -> list[list[str]]:
    """Pictures of each class and patients in each part, as rows of text under a head."""
    names = datalist.class_names
    rows = [["part", *names, "all", "patients"]]
    everything = [item for items in datalist.parts.values() for item in items]
    for title, items in [*datalist.parts.items(), ("all", everything)]:
        counts = Counter(item["class"] for item in items)
        patients = len({item["patient"] for item in items})
        numbers = [*(counts[name] for name in names), len(items), patients]
        rows.append([title, *(f"{number}" for number in numbers)])
    return rows


def write_classes(
    read: Callable[[Path], ClassSet], output: Path, *, seed: int = 0, files: Handling = "stay"
) -> Datalist:
    """Make a datalist, check it, and move it and its pictures into place at the end.

    Args:
        read: gets a folder that takes what is unpacked.
        output: the datalist's file.
        seed: gives another division.
        files: whether pictures stay where they are, or go as copies or links into folders beside
            the datalist, as those of archives always do.

    Returns:
        The datalist as it was written.

    Raises:
        LeakError: a patient or a picture would stand in two parts.
        InputError: what `read` refuses; E_OUTPUT, a file there is read now or is not medvol's own;
            E_NOSPACE, the files cannot be written.
    """
    folder, old = output.parent, of_older_run(output)
    with (
        filling(folder, data=True, old=old) as made_here,
        names_of_members(made_here.absolute()) as scratch,
    ):
        source = read(scratch)
        paths = [picture.path for picture in source.pictures]
        datalist = class_datalist(source, fingerprints(paths), seed=seed)
        datalist = lay_out(datalist, scratch, handling=files, aside=source.aside)
        check_sources(folder, scratch, old, paths)
        datalist.write(scratch / output.name, folder=folder)
    return Datalist.read(output)


def class_source(read: Callable[..., ClassSet], *, files: Handling) -> Source:
    """A source of `medvol data` that holds pictures with classes.

    Args:
        read: gets as `scratch` a folder that takes what is unpacked, and the options by name.
        files: what is done with the pictures where `--files` is silent.
    """

    def make(output: Path, *, seed: int, files: Handling, **given: Any) -> Datalist:
        return write_classes(partial(read, **given), output, seed=seed, files=files)

    options = (*options_of(read), *options_of(write_classes, files=files))
    return Source(summary(read), options, make, class_rows, picture="samples.png")
