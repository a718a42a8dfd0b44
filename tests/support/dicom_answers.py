# SPDX-License-Identifier: Apache-2.0
"""Answers to DICOM that networks of thresholds give in milliseconds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from dicom_patients import radiograph, write_study
from dicom_phantoms import write
from phantoms import GROUND_GLASS, LUNG, TinyChest
from pydicom import dcmread
from pydicom.dataset import Dataset
from radiographs import chest_like
from tiny_bundle import tiny_bundle, tiny_classifier_bundle, tiny_radiograph_bundle

from medvol.answer import Answer
from medvol.outputs.save import save
from medvol.tasks.task import Bundle, load_bundle

REGIONS = {  # tissue is consolidation to the network of thresholds, so it is left out
    "lung_regions": True,
    "focus_labels": [GROUND_GLASS],
    "reference_organ": {"name": "lung", "labels": [GROUND_GLASS, LUNG]},
}


class Made(NamedTuple):
    """A bundle, what it was given, and what it says of it."""

    bundle: Bundle
    path: Path
    answer: Answer


def made_chest(folder: Path, phantom: TinyChest) -> Made:
    """A CT with lesions, whose bundle tells regions of the lungs apart."""
    study = write_study(folder / "study", np.rint(phantom.ct).astype(int), phantom.affine)
    bundle = load_bundle(tiny_bundle(folder / "bundle", metadata=REGIONS))
    return Made(bundle, study, bundle.predict(study))


def made_slices(folder: Path, study: Path) -> Made:
    """A CT of which each slice was classified."""
    bundle = load_bundle(tiny_classifier_bundle(folder / "bundle"))
    return Made(bundle, study, bundle.predict(study))


def made_shot(folder: Path) -> Made:
    """A radiograph, with a map."""
    (path,) = write(folder / "files", [radiograph(chest_like(1))])
    bundle = load_bundle(tiny_radiograph_bundle(folder / "bundle"))
    return Made(bundle, path, bundle.with_attention(bundle.predict(path)))


def written(
    answer: Answer, folder: Path, *formats: str, asked: Mapping[str, Any] | None = None
) -> list[Dataset]:
    """What is written of an answer, read again."""
    files = save(answer, folder, formats=formats, asked=asked)
    return [dcmread(files[name]) for name in formats]
