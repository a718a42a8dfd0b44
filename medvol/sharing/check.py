# SPDX-License-Identifier: Apache-2.0
"""Is a bundle whole, true to itself, and fit to be given away? Ours, or any MONAI bundle."""

import re
from pathlib import Path

from ..errors import InputError
from ..images import dicom
from ..images.formats import suffixes
from .check_configs import check_configs, config_files
from .check_labels import check_labels
from .check_run import check_run, check_weights
from .findings import Finding, Findings

FEWEST_WORDS = 5  # of a licence or a page that says something
PAGES = {  # file to whether a bundle without it is wrong, and what goes there
    "LICENSE": (True, "Write the terms of configs, texts and weights."),
    "docs/README.md": (False, "Say what the bundle was trained and measured on, and its limits."),
    "docs/data_license.txt": (False, "Name the training data and their terms."),
}
TEXTS = {".json", ".yaml", ".yml", ".md", ".txt", ".csv", ""}  # read for names of patients
# a person's name as DICOM writes it, and fields that hold a patient's data
_PATIENT = re.compile(
    r"\b[A-Z][\w'-]+\^[A-Z][\w'-]*|Patient'?s?[ _]?(?:Name|ID|BirthDate)\W{1,4}\w", re.UNICODE
)
LARGE_FILES = ("large_files.yml", "large_files.yaml", "large_files.json")


def check_bundle(folder: Path, *, run: bool = True) -> list[Finding]:
    """Check a bundle from its layout to one phantom through its inference.

    Args:
        folder: the bundle's root.
        run: build what the configs name and run it. A config is code: without `run` files are read
            only, and nothing of a bundle that is not trusted is executed.

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
    parsed = check_configs(found, configs, run=run)
    if "metadata" in parsed:
        check_labels(found, configs, parsed)
    has_weights = _check_models(found)
    if run and "metadata" in parsed and "inference" in parsed:
        check_weights(found, configs, has_weights=has_weights)
        wrong = any(finding.level == "error" for finding in found)
        if has_weights and not wrong:  # a phantom would only say again what is wrong
            check_run(found, configs)
    return found


def _check_pages(found: Findings) -> None:
    """Licences and pages are there and say something."""
    for name, (needed, remedy) in PAGES.items():
        path = found.folder / name
        say = found.error if needed else found.note
        if not path.is_file():
            say(path, "", "the file is missing.", remedy)
        elif len(path.read_text(encoding="utf-8", errors="replace").split()) < FEWEST_WORDS:
            say(path, "", "the file says nothing.", remedy)


def _check_patients(found: Findings) -> None:
    """No image lies in the bundle, and no text names a patient."""
    of_images = (*suffixes("volume"), *dicom.SUFFIXES)
    for path in sorted(found.folder.rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        if path.name.lower().endswith(of_images):
            found.error(
                path, "", "an image lies in the bundle.",
                "Take it out: images belong to patients, not to bundles.",
            )  # fmt: skip
        elif path.suffix.lower() in TEXTS:
            text = path.read_text(encoding="utf-8", errors="replace")
            if match := _PATIENT.search(text):
                line = text.count("\n", 0, match.start()) + 1
                found.error(
                    path, f"line {line}", "it looks as if it named a patient.", "Take it out."
                )


def _check_models(found: Findings) -> bool:
    """Weights are where every tool looks for them; whether they are there."""
    models = found.folder / "models"
    path = models / "model.pt"
    for other in sorted(models.glob("*.pt")):
        if other.name < path.name:
            found.error(
                other, "", "MONAI Label takes the first .pt of models/ for the network's weights.",
                "Give it a name that sorts behind model.pt.",
            )  # fmt: skip
    if path.is_file():
        return True
    fetched = any((found.folder / name).is_file() for name in LARGE_FILES)
    say = found.note if fetched else found.error
    remedy = "Fetch what large_files names." if fetched else "Train the bundle: `medvol train`."
    say(path, "", "there are no weights.", remedy)
    return False
