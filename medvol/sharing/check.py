# SPDX-License-Identifier: Apache-2.0
"""Is a bundle whole, true to itself, and fit to be given away? Ours, or any MONAI bundle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..audit.verdict import Level
from ..bundle.claim import CLAIM, claim_faults
from ..bundle.permission import Look, admit, is_shipped, look_at, refusal_of
from ..bundle.spec import parse_spec
from ..bundle.weights_record import check_trained
from ..engine import child
from ..engine.confine import Confinement
from ..engine.confined import confinement_for, reach
from ..engine.limits import usual_limits
from ..engine.pipeline import LIKENESS
from ..engine.serve import Handler
from ..errors import InputError
from ..images import dicom
from ..images.formats import suffixes
from ..manifest import MANIFEST
from ..metrics.likeness import read_likeness
from ..networks.weights import record_in
from ..strictly import read_strictly
from .check_configs import check_configs, config_files
from .check_run import check_run, check_weights
from .findings import Finding, Findings
from .personal import personal_in

FEWEST_WORDS = 5  # of a licence or a page that says something
PAGES = {  # file to whether a bundle without it is wrong, and what goes there
    "LICENSE": (True, "Write the terms of configs, texts and weights."),
    "docs/README.md": (False, "Say what the bundle was trained and measured on, and its limits."),
    "docs/data_license.txt": (False, "Name the training data and their terms."),
}
GOLDEN = "golden"  # folder of a packed bundle: a phantom and its answer
LARGE_FILES = ("large_files.yml", "large_files.yaml", "large_files.json")


def check_bundle(folder: Path, *, run: bool = True) -> list[Finding]:
    """Check a bundle from its layout to one phantom through its inference.

    Args:
        folder: the bundle's root.
        run: build what the configs name and run it, where the bundle is permitted to run; else,
            and without `run`, its files are read only, and nothing of it is executed.

    Raises:
        InputError: E_PATH, the folder is not there.
    """
    if not folder.is_dir():
        raise InputError("E_PATH", folder, "there is no such folder.", "Name a bundle's folder.")
    found = Findings(folder)
    configs = config_files(folder)
    for name in ("metadata", "inference"):
        if name not in configs:
            found.error(
                folder / "configs" / f"{name}.json", "", "the file is missing.",
                "Every bundle has it; docs/bundles.md shows what it holds.",
            )  # fmt: skip
    _check_pages(found)
    _check_patients(found)
    run = run and "metadata" in configs and _may_run(found)
    parsed = check_configs(found, configs, run=run)
    if "metadata" in parsed:
        _check_labels(found, configs, parsed)
        _check_claim(found, parsed["metadata"])
    has_weights = _check_models(found)
    if has_weights and "metadata" in parsed:
        _check_records(found, parsed["metadata"])
    if run and "metadata" in parsed and "inference" in parsed:
        check_weights(found, configs, has_weights=has_weights)
        wrong = any(finding.level == "error" for finding in found)
        if has_weights and not wrong:  # a phantom would only say again what is wrong
            check_run(found, configs)
    return found


def check_apart(folder: Path, *, seconds: float | None = None) -> list[Finding]:
    """`check_bundle` in a process of its own, which the bundle's code may bring down.

    Args:
        folder: the bundle's root.
        seconds: s that it may take, above 0; None for what is usual.

    Raises:
        InputError: E_PATH, the folder is not there.
    """
    confinement = _confinement(folder)
    limits = usual_limits(seconds, confined=confinement is not None)
    work = f"{__name__}:{checker.__name__}"
    with child.Child(work, limits=limits, confinement=confinement) as process:
        try:
            findings: list[Finding] = process.ask(folder)
        except InputError as error:
            if not process.lost:
                raise
            found = Findings(folder)
            found += check_bundle(folder, run=False)
            found.error(
                folder / "configs" / "inference.json", "", error.reason,
                "Look at what the configs name, or check with --no-run.",
            )  # fmt: skip
            return found
    return findings


def _confinement(folder: Path) -> Confinement | None:
    try:
        return confinement_for(folder)
    except InputError:  # said where the bundle is checked; nothing of it runs
        return reach(folder)


def checker(_: None) -> Handler:
    """Checks bundles, for a `Child`."""
    return lambda folders: (list(check_bundle(folder)) for folder in folders)


def _may_run(found: Findings) -> bool:
    """Whether the bundle is permitted to run here; else a finding says why nothing of it was run.

    Code that nobody has accepted yet is a note: it is not wrong that a bundle carries some.
    """
    if is_shipped(found.folder.resolve()):
        return True
    metadata = found.folder / "configs" / "metadata.json"
    try:
        look = look_at(found.folder)
    except InputError as error:
        place = Path(error.path)
        if place != metadata:  # said where the metadata are looked at
            inside = found.folder in place.parents
            found.error(place if inside else metadata, "", error.reason, error.remedy)
        return False
    if not isinstance(look, Look):
        return True
    level = look.audit.level
    if level is Level.A:
        admit(look)
        return True
    worst = look.audit.of_level(level)[0]
    say = found.error if level is Level.C else found.note
    why = refusal_of(look)
    say(found.folder / worst.file, worst.key, f"nothing of it was run: {why.reason}", why.remedy)
    return False


def _check_pages(found: Findings) -> None:
    """Licences and pages are there and say something."""
    for name, (needed, remedy) in PAGES.items():
        path = found.folder / name
        say = found.error if needed else found.note
        if not path.is_file():
            say(path, "", "the file is missing.", remedy)
        elif len(path.read_text(encoding="utf-8", errors="replace").split()) < FEWEST_WORDS:
            say(path, "", "the file says nothing.", remedy)


def _check_claim(found: Findings, metadata: Mapping[str, Any]) -> None:
    """What the bundle reports by CLAIM 2024 is complete, and rests on what is there."""
    path, remedy = found.folder / CLAIM, "Write it as the shipped bundles do."
    if not path.is_file():
        if metadata.get("medvol_task"):  # those of others do not know of it
            found.note(path, "", "nothing says what it reports of CLAIM 2024.", remedy)
        return
    with found.catching(path, "", remedy):
        stored = read_strictly(path.read_bytes(), suffix=path.suffix)
        for fault in claim_faults(found.folder, metadata, stored):
            found.error(path, "items", f"{fault}.", remedy)


def _check_patients(found: Findings) -> None:
    """No image lies in the bundle but that of its golden case, and no file names a patient."""
    of_images = (*suffixes("volume"), *dicom.SUFFIXES)
    packed = (found.folder / MANIFEST).is_file()
    for path in sorted(found.folder.rglob("*")):
        golden = packed and found.folder / GOLDEN in path.parents
        if path.is_file() and path.name.lower().endswith(of_images) and not golden:
            found.error(
                path, "", "an image lies in the bundle.",
                "Take it out: images belong to patients, not to bundles.",
            )  # fmt: skip
    for one in personal_in(found.folder):
        say = found.error if one.level == "error" else found.note
        say(found.folder / one.file, one.place, one.reason, "Take it out.")


def _check_models(found: Findings) -> bool:
    """Weights are where every tool looks for them; whether they are there."""
    models = found.folder / "models"
    path = models / "model.pt"
    for other in sorted(models.glob("*.pt")):
        if other.name != path.name:  # among names of one length the order is that of the disk
            first = len(other.name) <= len(path.name)
            say = found.error if first else found.note
            say(
                other, "", f"MONAI Label {'takes' if first else 'offers'} it for the network's "
                "weights, and loads what does not fit as random.",
                "Put it into a folder of its own below models/.",
            )  # fmt: skip
    if path.is_file():
        return True
    fetched = any((found.folder / name).is_file() for name in LARGE_FILES)
    say = found.note if fetched else found.error
    remedy = "Fetch what large_files names." if fetched else "Train the bundle: `medvol train`."
    say(path, "", "there are no weights.", remedy)
    return False


def _check_records(found: Findings, metadata: Mapping[str, Any]) -> None:
    """The weights are those that the metadata describe; the statistic of pictures can be read."""
    try:
        spec = parse_spec(found.folder, metadata)
    except InputError:  # said where the metadata are looked at, or when the bundle is loaded
        return
    with found.catching(spec.weights, "", "Take the bundle's own weights."):
        for note in check_trained(spec, record_in(spec.weights)):
            found.note(
                spec.weights, "", note.text, "If they are right, run `medvol bundle record`."
            )
    likeness = found.folder / "models" / LIKENESS
    if likeness.is_file():
        with found.catching(likeness, "", "Make it again."):
            read_likeness(likeness)


def _check_labels(
    found: Findings, configs: Mapping[str, Path], parsed: Mapping[str, Mapping[str, Any]]
) -> None:
    """Labels and classes mean the same wherever the bundle names them."""
    metadata, path = parsed["metadata"], configs["metadata"]
    output = metadata.get("network_data_format", {}).get("outputs", {}).get("pred", {})
    channels = output.get("channel_def") if isinstance(output, dict) else None
    if not isinstance(channels, dict) or not channels:
        return  # the schema has said so
    at = "network_data_format#outputs#pred"
    if [*channels] != [str(number) for number in range(len(channels))]:
        found.error(
            path, f"{at}#channel_def", f"its keys are {', '.join(channels)}.",
            "Number the channels of the output from 0.",
        )  # fmt: skip
    if output.get("num_channels") != len(channels):
        found.error(
            path, f"{at}#num_channels", f"it is {output.get('num_channels')}, and channel_def "
            f"names {len(channels)}.", "Make them agree.",
        )  # fmt: skip
    rows = metadata.get("label_table")
    if isinstance(rows, list):
        _check_table(found, path, metadata, rows, channels)
    names = list(channels.values())
    for name in ("inference", "train"):
        own = parsed.get(name, {}).get("class_names")
        if own is not None and own != names:
            found.error(
                configs[name], "class_names", f"they are {', '.join(own)}.",
                f"The metadata name {', '.join(names)}, in this order.",
            )  # fmt: skip
    values = {int(number) for number in channels if str(number).isdecimal()}
    regions = parsed.get("train", {}).get("regions", {})
    for region, labels in regions.items() if isinstance(regions, dict) else ():
        if not set(labels) <= values - {0}:
            found.error(
                configs["train"], f"regions#{region}", f"it names {labels}.",
                f"Labels are {', '.join(str(value) for value in sorted(values - {0}))}.",
            )  # fmt: skip
    _check_names(found, names)


def _check_table(
    found: Findings, path: Path, metadata: Mapping[str, Any], rows: list[Any],
    channels: Mapping[str, str],
) -> None:  # fmt: skip
    """The label table has the names of the channels, and what refers to labels finds them."""
    table = {str(row.get("value")): row.get("name") for row in rows if isinstance(row, dict)}
    for value, name in table.items():
        if channels.get(value) != name:
            found.error(
                path, "label_table", f"it calls label {value} {name!r}; channel_def has "
                f"{channels.get(value)!r}.", "Give a label one name.",
            )  # fmt: skip
    for value in [value for value in channels if value != "0" and value not in table]:
        found.error(
            path, "label_table", f"label {value} of channel_def is missing.", "Add a row for it."
        )
    organ = metadata.get("reference_organ") or {}
    for key, labels in (
        ("focus_labels", metadata.get("focus_labels") or []),
        ("reference_organ#labels", organ.get("labels", [])),
    ):
        strange = [label for label in labels if str(label) not in table]
        if strange:
            found.error(path, key, f"it names {strange}.", f"Labels are {', '.join(table)}.")


def _check_names(found: Findings, names: list[str]) -> None:
    """The bundle's page names every label, in whatever case."""
    page = found.folder / "docs" / "README.md"
    text = page.read_text(encoding="utf-8", errors="replace").lower() if page.is_file() else None
    missing = [name for name in names if text is not None and name.lower() not in text]
    if missing:
        found.note(page, "", f"it does not name {', '.join(missing)}.", "Say what the labels are.")
