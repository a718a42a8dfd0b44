# SPDX-License-Identifier: Apache-2.0
"""A run beside an earlier one of the same image: what went in, what it was done with, what came."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..owned import FILES, RUN, read_record
from .registry import OUTPUTS

Record = Mapping[str, Any]
# of `medvol predict`, as recorded
OPTIONS = (
    "precision", "gate", "spacing", "strict", "attention", "labelmap", "empty_frames"
)  # fmt: skip
SAME_ML = 5e-4  # of a volume; less is not printed
SAME_PROBABILITY = 5e-4
DIGITS = 12  # of a checksum that are printed
WHOLE = "Give the run.json that medvol predict wrote."


def earlier_run(path: Path) -> Record:
    """The record of an earlier prediction.

    Args:
        path: of its run.json, or of the folder that holds it.

    Raises:
        InputError: E_PATH, there is none; E_FORMAT, medvol did not write it, or it was changed
            since; or it is of a mask by hand, which no network made.
    """
    path = path / RUN if path.is_dir() else path
    if not path.is_file():
        raise InputError("E_PATH", path, "there is no such file.", WHOLE)
    record = read_record(path)
    if not record or "bundle" not in record:
        reason = "it is no record of a prediction, or was changed since medvol wrote it."
        raise InputError("E_FORMAT", path, reason, WHOLE)
    if "mask" in record:
        reason = f"it is of the mask {record['mask']['file']}, which no network made."
        raise InputError("E_FORMAT", path, reason, "Run medvol measure again.")
    return record


def differences(before: Record, after: Record) -> list[str]:
    """What differs between two runs, a clause each: input, bundle, versions, settings, results.

    Args:
        before, after: records of `outputs.record`.

    Returns:
        Empty where nothing does, but times and memory.

    Example:
        >>> differences({"device": "cpu"}, {"device": "cuda"})
        ['device cpu, now cuda']
    """
    return [*_inputs(before, after), *_means(before, after), *_results(before, after)]


def same_mask(before: Record, after: Record) -> bool | None:
    """Whether both runs wrote the same mask, byte by byte; None where one wrote none."""
    name = OUTPUTS["nii"].file
    found = [record.get(FILES, {}).get(name) for record in (before, after)]
    return None if None in found else found[0] == found[1]


def _inputs(before: Record, after: Record) -> Iterator[str]:
    one, two = (record.get("input", {}) for record in (before, after))
    if one.get("sha256") != two.get("sha256"):
        yield _pair("input file", *(str(x.get("sha256"))[:DIGITS] for x in (one, two)))
    for key, words in (("shape", "shape"), ("spacing_mm", "spacing in mm")):
        if one.get(key) != two.get(key):
            yield _pair(words, _text(one.get(key)), _text(two.get(key)))


def _means(before: Record, after: Record) -> Iterator[str]:
    """By what it was done: bundle, options, device, packages."""
    for part in ("bundle", "asked", "engine", "settings", "versions"):
        one, two = (record.get(part, {}) for record in (before, after))
        if part == "engine":
            one, two = one.get("asked", {}), two.get("asked", {})
        for key in dict.fromkeys([*one, *two]):
            said_below = key == "precision"  # what was taken, whether asked for or not
            if one.get(key) != two.get(key) and not said_below:
                name = key if part != "bundle" else f"bundle's {key}"
                yield _pair(name.replace("_", " "), _text(one.get(key)), _text(two.get(key)))
    for key in ("device", "precision", "python", "machine"):
        if before.get(key) != after.get(key):
            yield _pair(key, _text(before.get(key)), _text(after.get(key)))


def _results(before: Record, after: Record) -> Iterator[str]:
    if before.get("answer") != after.get("answer"):
        yield _pair("answer", _text(before.get("answer")), _text(after.get("answer")))
    one, two = (
        {x["name"]: x["volume_ml"] for x in record.get("measurements", ())}
        for record in (before, after)
    )  # fmt: skip
    for name in dict.fromkeys([*one, *two]):
        if abs(one.get(name, 0.0) - two.get(name, 0.0)) > SAME_ML:
            yield _pair(name, f"{one.get(name, 0.0):.3f} ml", f"{two.get(name, 0.0):.3f} ml")
    one, two = (record.get("classes", {}).get("probability", {}) for record in (before, after))
    for name in dict.fromkeys([*one, *two]):
        if abs(one.get(name, 0.0) - two.get(name, 0.0)) > SAME_PROBABILITY:
            yield _pair(f"probability of {name}", *(f"{x.get(name, 0.0):.3f}" for x in (one, two)))


def _pair(name: str, before: str, after: str) -> str:
    return f"{name} {before}, now {after}"


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return " x ".join(f"{x:g}" if isinstance(x, float) else str(x) for x in value)
    text = str(value)
    return text[:DIGITS] if len(text) == 64 else text  # a checksum
