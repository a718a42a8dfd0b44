# SPDX-License-Identifier: Apache-2.0
"""BIDS: which images of a data set a bundle takes, and its results as derivatives.

See https://bids-specification.readthedocs.io, version 1.10.0. BIDS has no folder for CT yet: images
are found in any folder of a subject or session, and masks are written to `anat`, as it asks for.
"""

import os
import re
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .. import __version__
from ..bundle.spec import Spec
from ..dicomweb.address import opaque
from ..errors import InputError
from ..files import read_json, write_json, write_text
from ..images.files import children, natural_key
from ..images.formats import ends_with
from ..images.sequences import is_patient
from ..names import is_inside
from ..owned import FILES, RUN, filling, read_record
from ..tasks.task import Task
from ..text import NOTICE
from .plan import Unit

VERSION = "1.10.0"
DESCRIPTION = "dataset_description.json"
WORK = ".medvol"  # folder of the cohorts in a data set of derivatives
IGNORED = "group_*.tsv\n"  # tables of all, which BIDS has no names for
README = f"""# Masks and measurements by medvol

{NOTICE}

Each image of the data set that `dataset_description.json` names as its source has a mask in the
folder `anat` of its participant or session, a table of the mask's labels, and a sidecar with the
bundle that made it, measurements of each label, and notes on how far they can be trusted. Tables of
all participants, `group_*.tsv`, are made by `medvol bids IN OUT group`. The folder `.medvol` holds
the record of each run, and why images were refused; the same command goes on where it was stopped.
"""
MASK = "segmentation.nii.gz"
_SUFFIXES = {"CT": ("ct",)}  # modality of a bundle to what its images end with
_LABEL = re.compile(r"(?:sub|ses)-([0-9A-Za-z+]+)")
_IMAGES = (".nii", ".nii.gz")
_COLUMNS = ("participant_id", "session_id", "source", "name", "voxels", "volume_ml", "mean_hu",
            "share_percent", "notes")  # fmt: skip


class Image(NamedTuple):
    """An image of a data set, or a folder of one patient's MR sequences.

    Args:
        path: below the data set, with `/`.
        participant: label of the subject, without `sub-`.
        session: label, without `ses-`; "" where there are none.
        entities: what its name has in front of its suffix, such as "sub-01_run-1".
        size_bytes: of its files.
    """

    path: str
    participant: str
    session: str
    entities: str
    size_bytes: int

    @property
    def case(self) -> str:
        """What its case is called."""
        return self.path.partition(".")[0]


def find_images(
    root: Path,
    task: Task,
    *,
    suffixes: Sequence[str] = (),
    participants: Collection[str] = (),
    sessions: Collection[str] = (),
) -> list[Image]:
    """The images of a data set that a bundle takes: `sub-*/[ses-*]/*/*_SUFFIX.nii.gz`.

    Args:
        root: of the data set.
        task: of the bundle. One of MR sequences takes folders that hold them.
        suffixes: that names end with, such as "T1w"; none for those of the bundle's modality.
        participants, sessions: labels of those that are meant; none for all.

    Raises:
        InputError: E_PATH, no such data set or participant; E_BUNDLE, the bundle gives no masks of
            volumes; E_EMPTY, there is no such image.
        ValueError: nothing says which images the bundle takes.
    """
    spec = task.spec
    if "mask" not in task.gives:
        reason = f"it takes {task.takes} and gives no masks; BIDS has no names for what it gives."
        raise InputError("E_BUNDLE", spec.folder, reason, "Use medvol predict or medvol cohort.")
    wanted = suffixes or _SUFFIXES.get(spec.modality or "", ())
    if not wanted and task.kind != "sequences":
        raise ValueError(f"{spec.name} does not say that it is for CT; give --suffix, such as T1w")
    subjects = [path for path in children(root) if _labelled(path, "sub-")]
    known = {path.name[4:] for path in subjects}
    if missing := [label for label in participants if label not in known]:
        reason = "there is no such participant."
        raise InputError("E_PATH", root / f"sub-{missing[0]}", reason, "Check the label.")
    found = [
        image
        for subject in subjects
        if not participants or subject.name[4:] in participants
        for place in _places(subject, sessions)
        for image in _in(root, subject.name[4:], place, task, wanted)
    ]
    if not found:
        what = "folder of MR sequences" if task.kind == "sequences" else f"*_{wanted[0]}.nii.gz"
        reason = f"no participant that is meant has a {what}."
        raise InputError("E_EMPTY", root, reason, "Check labels and --suffix.")
    return found


def _labelled(path: Path, start: str) -> bool:
    return path.name.startswith(start) and bool(_LABEL.fullmatch(path.name)) and path.is_dir()


def _places(subject: Path, sessions: Collection[str]) -> Iterator[Path]:
    """Folders of the sessions of a subject; the subject's own where it has none."""
    inside = [path for path in children(subject) if _labelled(path, "ses-")]
    if not inside and not sessions:
        yield subject
    yield from (path for path in inside if not sessions or path.name[4:] in sessions)


def _in(
    root: Path, participant: str, place: Path, task: Task, suffixes: Sequence[str]
) -> Iterator[Image]:
    session = place.name[4:] if place.name.startswith("ses-") else ""
    for folder in filter(Path.is_dir, children(place)):
        if task.kind == "sequences":
            files = [folder] if is_patient(folder) else []
        else:
            files = [path for path in children(folder) if _suffix(path.name) in suffixes]
        for path in files:
            own = children(path) if path.is_dir() else [path]  # a link may lead to nothing yet
            size = sum(file.stat().st_size for file in own if file.is_file())
            entities = path.name.rpartition("_")[0]
            if path.is_dir():
                entities = f"sub-{participant}" + (f"_ses-{session}" if session else "")
            inside = path.relative_to(root).as_posix()
            yield Image(inside, participant, session, entities, size)


def _suffix(name: str) -> str:
    """What the name of an image ends with, in BIDS' sense: "ct" of "sub-1_ct.nii.gz"."""
    is_image = ends_with(Path(name), _IMAGES)
    return name.partition(".")[0].rpartition("_")[2] if is_image else ""


def units_of(root: Path, images: Sequence[Image], spec: Spec) -> list[Unit]:
    """The plan of a bundle's images.

    Args:
        root: of the data set.
        images: of it.
        spec: of the bundle.

    Raises:
        InputError: E_OUTPUT, the masks of two images would have one name.
    """
    count = Counter(mask_name(image, spec) for image in images)
    name, number = count.most_common(1)[0]
    if number > 1:
        twice = [image.path for image in images if mask_name(image, spec) == name]
        reason = f"its mask and that of {twice[1]} would both be {name}."
        raise InputError(
            "E_OUTPUT", root / twice[0], reason, "Give one --suffix, and an OUT for each."
        )
    return [
        Unit(image.case, str(root.absolute() / image.path), spec.name,
             patient=f"sub-{image.participant}", size_bytes=image.size_bytes)
        for image in images
    ]  # fmt: skip


def segmentation_label(bundle: str) -> str:
    """A bundle's name as the entity `seg-` takes it, which has letters and digits alone.

    Example:
        >>> segmentation_label("covid_ct_lesion_25d")
        'CovidCtLesion25d'
    """
    return "".join(word[:1].upper() + word[1:] for word in re.findall(r"[0-9A-Za-z]+", bundle))


def mask_name(image: Image, spec: Spec) -> str:
    """Path of an image's mask below the derivatives, without `.nii.gz`."""
    session = f"ses-{image.session}/" if image.session else ""
    name = f"{image.entities}_seg-{segmentation_label(spec.name)}_dseg"
    return f"sub-{image.participant}/{session}anat/{name}"


def begin(out: Path, root: Path) -> None:
    """Make a data set of derivatives, or go on with one that medvol began.

    Args:
        out: its folder.
        root: of the data set that it is derived from.

    Raises:
        InputError: E_OUTPUT, another program's data set is there, or that of the images, or one
            derived from other images, which may have the same names; E_NOSPACE, it cannot be
            written.
    """
    if out.resolve() == root.resolve():
        reason = "it is the data set of the images."
        raise InputError("E_OUTPUT", out, reason, f"Give {out / 'derivatives' / 'medvol'}.")
    path, source = out / DESCRIPTION, root.resolve().as_uri()
    if os.path.lexists(path):
        content = read_json(path, what="description of a data set", remedy="Choose another OUT.")
        makers = content.get("GeneratedBy")
        names = [x.get("Name") for x in makers or () if isinstance(x, dict)]
        if "medvol" not in names:
            reason = "it describes a data set that medvol did not make."
            raise InputError("E_OUTPUT", path, reason, "Choose another output folder.")
        if (before := (content.get("DatasetLinks") or {}).get("raw")) != source:
            reason = f"it is derived from {before}, and not from {source}."
            remedy = "Choose another output folder; if the data set was moved, change it there."
            raise InputError("E_OUTPUT", path, reason, remedy)
        return
    for name, text in (("README.md", README), (".bidsignore", IGNORED)):
        if not (out / name).exists():
            write_text(out / name, text)
    write_json(path, {
        "Name": "Masks and measurements by medvol", "BIDSVersion": VERSION,
        "DatasetType": "derivative", "DatasetLinks": {"raw": source},
        "GeneratedBy": [{"Name": "medvol", "Version": __version__, "Description": NOTICE}],
        "SourceDatasets": [{"URL": source}],
    })  # fmt: skip


def work_folder(out: Path, units: Sequence[Unit]) -> Path:
    """Where some units are done: another folder when an image among them changed.

    Args:
        out: folder of the derivatives.
        units: of `units_of`.
    """
    said = [(unit.key, unit.path, unit.size_bytes, _changed_ns(Path(unit.path))) for unit in units]
    return out / WORK / opaque(repr(said))


def _changed_ns(path: Path) -> int:
    """When a file was changed last, or one in a folder, in ns of the disk's clock; 0 for none."""
    files = [path, *(children(path) if path.is_dir() else ())]
    return max((file.stat().st_mtime_ns for file in files if file.exists()), default=0)


def results_of(out: Path, image: Image, spec: Spec) -> Path | None:
    """The folder of results that an image's mask is a copy of; None where there is no such mask.

    Args:
        out: folder of the derivatives.
        image: of the data set.
        spec: of the bundle.

    Raises:
        InputError: E_FORMAT, its sidecar is damaged.
    """
    mask = out / f"{mask_name(image, spec)}.nii.gz"
    sidecar = mask.with_name(mask.name.replace(".nii.gz", ".json"))
    if not mask.is_file() or not sidecar.is_file():
        return None
    content = read_json(sidecar, what="sidecar", remedy="Remove it, and run the participant again.")
    name = content.get("Results")
    return out / name if isinstance(name, str) and is_inside(name) else None


def lay_out(out: Path, image: Image, spec: Spec, results: Path) -> Path:
    """Copy an image's mask to where BIDS has it, with a table of its labels and a sidecar.

    Args:
        out: folder of the derivatives.
        image: of the data set.
        spec: of the bundle.
        results: folder in it, that `medvol predict` wrote.

    Returns:
        The mask.

    Raises:
        InputError: E_OUTPUT, a file there is not medvol's; E_NOSPACE, it cannot be written;
            E_CORRUPT, the results are not whole.
    """
    record = read_record(results / RUN)
    if MASK not in record.get(FILES, {}):
        reason = "it holds no mask that a record names."
        raise InputError("E_CORRUPT", results, reason, "Remove it, and run the same command again.")
    mask = out / f"{mask_name(image, spec)}.nii.gz"
    name = mask.name.removesuffix(".nii.gz")
    labels = [(x["value"], x["name"], "#{:02x}{:02x}{:02x}".format(*x["color"]))
              for x in record["labels"]]  # fmt: skip
    with filling(mask.parent) as folder:
        shutil.copyfile(results / MASK, folder / mask.name)
        write_json(folder / f"{name}.json", _sidecar(image, record, results.relative_to(out)))
        _write_tsv(folder / f"{name}.tsv", ("index", "name", "color"),
                   [(0, "background", "#000000"), *labels])  # fmt: skip
    return mask


def _sidecar(image: Image, record: Mapping[str, Any], results: Path) -> dict[str, Any]:
    bundle, source = record["bundle"], f"bids:raw:{image.path}"
    return {
        "Description": f"Mask by {bundle['name']} {bundle['version']}. {NOTICE}",
        "Sources": [source], "SpatialReference": source, "Manual": False,
        "GeneratedBy": [{"Name": "medvol", "Version": __version__, **bundle}],
        "Measurements": record["measurements"], "Notes": record["notes"],
        "Results": results.as_posix(),
    }  # fmt: skip


def write_groups(out: Path) -> list[Path]:
    """Write a table of the measurements of all participants for each bundle, `group_*.tsv`.

    Args:
        out: folder of the derivatives.

    Returns:
        The tables.

    Raises:
        InputError: E_EMPTY, no participant is done; E_FORMAT, a sidecar is damaged; E_NOSPACE, a
            table cannot be written.
    """
    tables: dict[str, list[list[Any]]] = {}
    found = out.glob("sub-*/**/anat/*_seg-*_dseg.json")
    for path in sorted(found, key=lambda path: (natural_key(path), str(path))):
        content = read_json(path, what="sidecar", remedy="Run the participant again.")
        labels = [match[1] for match in map(_LABEL.fullmatch, path.relative_to(out).parts) if match]
        seg = path.name.rpartition("_seg-")[2].removesuffix(".json")
        subject = [f"sub-{labels[0]}", f"ses-{labels[1]}" if len(labels) > 1 else None]
        source = content["Sources"][0].removeprefix("bids:raw:")
        notes = " ".join(note[0] for note in content["Notes"])
        tables.setdefault(seg, []).extend(
            [*subject, source, *(row.get(name) for name in _COLUMNS[3:-1]), notes]
            for row in content["Measurements"]
        )
    if not tables:
        raise InputError("E_EMPTY", out, "no participant is done.", "Run level participant first.")
    paths = {out / f"group_seg-{seg}.tsv": rows for seg, rows in tables.items()}
    for path, rows in paths.items():
        _write_tsv(path, _COLUMNS, rows)
    return list(paths)


def _write_tsv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table as BIDS has it: tabs, and n/a for nothing."""
    lines = ["\t".join(map(_cell, row)) + "\n" for row in (columns, *rows)]
    write_text(path, "".join(lines))


def _cell(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return "n/a" if value in (None, "") else re.sub(r"[\t\r\n]", " ", text)
