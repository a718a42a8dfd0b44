# SPDX-License-Identifier: Apache-2.0
"""`run.json`: everything needed to repeat the run, what it gave, and the files beside it."""

import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..answer import Answer
from ..engine.confine import applied
from ..files import sha256_of
from ..images.describe import describe
from ..images.image import Image
from ..metrics.lung_regions import SCORE_SOURCE
from ..owned import FILES, checksums, write_record
from ..text import NOTICE

if TYPE_CHECKING:
    from .save import Saving

PACKAGES = ("monai", "torch", "numpy", "nibabel", "pydicom")


def write(path: Path, saving: "Saving") -> None:
    """Write the record, whole or not at all.

    Raises:
        InputError: E_NOSPACE, it cannot be written.
    """
    options = {key: value for key, value in saving.asked.items() if key != "series"}
    asked = {"formats": saving.formats, "asked": options, "request_sha256": saving.request}
    written = {name: round(seconds, 3) for name, seconds in sorted(saving.written_s.items())}
    record = {
        **record_of(saving.answer),
        "written_s": written,
        **asked,
        FILES: checksums(saving.folder),
    }
    write_record(path, record)


def record_of(answer: Answer) -> dict[str, Any]:
    """What is recorded of an answer, ready for JSON; what the task does not give is left out."""
    spec, run = answer.spec, answer.run
    return {
        "notice": NOTICE,
        "case": answer.case,
        "input": _input(answer.image),
        "bundle": {"name": spec.name, "version": spec.version, **_weights(answer)},
        **_given(answer),
        **found_of(answer),
        **({} if answer.given else {"device": run.device, "precision": run.precision}),
        "settings": run.settings,
        **({"engine": run.engine} if run.engine else {}),
        **_confinement(),
        "peak_memory_bytes": run.peak_memory_bytes,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {"medvol": __version__, **_versions()},
    }


@cache
def _versions() -> dict[str, str]:
    """Of `PACKAGES`; their files are looked at once in a process."""
    return {name: version(name) for name in PACKAGES}


def identity(answer: Answer) -> dict[str, Any]:
    """Which image an answer is to, as a record has it but without a look at its values."""
    image = answer.image
    return {"input": {"path": image.path.name, "sha256": image_sha256(image)}}


def found_of(answer: Answer) -> dict[str, Any]:
    """What was found, what there is to say of it, and how long it took: the part of a record that
    tables of several cases are made of. Quick, since it does not look at the image."""
    run = answer.run
    return {
        **_labels(answer),
        **_slices(answer),
        **_classes(answer),
        **({} if run.undecided is None else {"undecided": round(run.undecided, 4)}),
        "notes": [list(note) for note in answer.notes],
        "remarks": list(run.remarks),
        "times_s": {stage: round(seconds, 3) for stage, seconds in run.times_s.items()},
    }


def brief(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without what is the same for all cases of a run, and without facts of the input.

    Args:
        record: as `record_of` makes it, with or without what `write` adds; or `found_of`.
    """
    left_out = {"notice", "labels", "python", "machine", "versions", "settings", "engine",
                "asked", "request_sha256", "severity_score_of", "confinement",
                "written_s"}  # fmt: skip
    kept = {key: value for key, value in record.items() if key not in left_out}
    if "input" in kept:
        kept["input"] = {key: record["input"][key] for key in ("path", "sha256")}
    return kept


def _confinement() -> dict[str, Any]:
    """How this process is confined, where it is."""
    found = applied()
    return {} if found is None else {"confinement": found.as_json()}


def _weights(answer: Answer) -> dict[str, Any]:
    """By which weights and chain; nothing of a mask that no network made."""
    spec = answer.spec
    if answer.given is not None:
        return {}
    return {
        "weights_sha256": spec.weights_sha256,
        **({"gate_sha256": spec.gate_sha256} if spec.gate_sha256 else {}),
        "chain_fingerprint": answer.run.chain_fingerprint,
    }


def _given(answer: Answer) -> dict[str, Any]:
    """The mask by hand that was measured, and the prediction beside it."""
    if answer.given is None:
        return {}
    mask = {"file": answer.given.file, "sha256": answer.given.sha256}
    difference = {name: figures.row() for name, figures in answer.difference.items()}
    return {"mask": mask, **({"difference": difference} if difference else {})}


def _labels(answer: Answer) -> dict[str, Any]:
    """Labels and their measurements; nothing of a bundle that has no labels."""
    spec = answer.spec
    if not len(spec.labels):
        return {}
    named = {"mean_value": spec.mean_column}
    return {
        "labels": spec.labels.to_json(),
        "measurements": [
            {named.get(key, key): value for key, value in vars(row).items()}
            for row in answer.measurements
        ],
        **_burden(answer),
    }


def _burden(answer: Answer) -> dict[str, Any]:
    """Lungs by side and third, with the codes that a structured report needs, and lesions."""
    burden = answer.burden
    if burden is None:
        return {}
    regions = [
        {
            "region": x.name,
            "site": [x.site.scheme, x.site.value, x.site.meaning],
            "laterality": [x.laterality.scheme, x.laterality.value, x.laterality.meaning],
            "lung_ml": x.organ_ml,
            "lesion_ml": x.lesion_ml,
            "lesion_percent": x.share_percent,
            "score": x.score,
        }
        for x in burden.regions
    ]
    lesions = burden.lesions
    return {
        "regions": regions,
        "severity_score": answer.ct_score,
        "severity_score_of": SCORE_SOURCE,
        "lesions": {
            "number": lesions.number,
            "largest": [vars(lesion) for lesion in lesions.largest],
            "rest_ml": lesions.rest_ml,
        },
    }


def _slices(answer: Answer) -> dict[str, Any]:
    """The volume's answer and what it rests on; nothing where no slice was judged."""
    slices, rule = answer.slices, answer.spec.slice_rule
    if slices is None:
        return {}
    return {
        "answer": answer.finding,
        "slices": {
            "number": len(slices.probability),
            "number_found": slices.number_found,
            "threshold": slices.threshold,
            "longest_run_mm": round(slices.length_mm, 3),
            "rule": rule._asdict() if rule else None,
            "highest_probability": round(float(slices.probability.max()), 4),
        },
    }


def _classes(answer: Answer) -> dict[str, Any]:
    """The class and the probability of each; nothing where none was asked for."""
    classes = answer.classes
    if classes is None:
        return {}
    shares = (round(float(p), 6) for p in classes.probability)
    return {
        "answer": answer.finding,
        "classes": {
            "index": classes.index,
            "threshold": classes.threshold,
            "probability": dict(zip(classes.names, shares, strict=True)),
            "map": classes.attention.method if classes.attention else None,
        },
    }


def _input(image: Image) -> dict[str, Any]:
    """What was read, without folders and identifiers, which may say who the patient is."""
    public = {"path": image.path.name, "facts": image.public_facts}
    if image.pair:
        public["pair"] = [path.name for path in image.pair]
    return {**describe(image), **public, "sha256": image_sha256(image)}


def image_sha256(image: Image) -> str:
    """SHA-256 of an image's files as they were read; of one in memory, of its values in order.

    Of an image that no task read, that of its files now.
    """
    if image.in_memory:
        return hashlib.sha256(np.ascontiguousarray(image.seen).tobytes()).hexdigest()
    return image.sha256 or sha256_of(image.path, image.pair)
