# SPDX-License-Identifier: Apache-2.0
"""Which figures of a bundle's answers its cases are compared by; loads no torch."""

from collections.abc import Mapping
from typing import Any

from ...bundle.spec import Spec
from ...outputs.cases import Value, column
from ...text import figure_text

PROBABILITY = "probability"  # in names of figures that are one
# what "largest" and "most undecided" mean of a task's answers, as the page of the review says it
LARGEST = {"volumes": "largest", "slices": "longest", "radiographs": "most certain"}
UNDECIDED_MEANS = {
    "volumes": "of what is marked, the largest share has a score near the middle",
    "slices": "the highest probability of a slice is nearest to the threshold",
    "radiographs": "the two most probable classes are nearest to each other",
}


def main_figures(spec: Spec) -> list[str]:
    """Names of the figures that say most of an answer, the one that says how much was found first.

    Args:
        spec: of the bundle.
    """
    if spec.task == "radiographs":
        return [column("probability", name) for name in spec.classes]
    if spec.task == "slices":
        return ["longest_run_mm", "slices_found", "highest_probability"]
    volumes = [column(name, "ml") for name in spec.regions]
    return [*volumes, "severity_score"] if spec.lung_regions else volumes


def size(spec: Spec, values: Mapping[str, Value]) -> float:
    """How much was found, to sort the cases of a bundle by: ml, mm, or the highest probability.

    Args:
        spec: of the bundle.
        values: figures of the case.

    Returns:
        0 or more; 0 where the figure is not defined.
    """
    names = main_figures(spec)
    if spec.task != "radiographs":
        names = names[:1]
    found = [values.get(name) for name in names]
    return max((x for x in found if isinstance(x, float | int)), default=0.0)


def undecided(found: Mapping[str, Any]) -> float | None:
    """How near an answer is to another one, 0 to 1; comparable within a bundle.

    Args:
        found: what `run.json` says of the case.

    Returns:
        0 to 1; None where the bundle does not say it of a mask.

    Example:
        >>> undecided({"classes": {"probability": {"normal": 0.375, "pneumonia": 0.625}}})
        0.75
    """
    if "classes" in found:
        first, second, *_ = *sorted(found["classes"]["probability"].values(), reverse=True), 0.0
        return float(1 - (first - second))
    if "slices" in found:
        slices = found["slices"]
        return float(1 - abs(slices["highest_probability"] - slices["threshold"]))
    share: float | None = found.get("undecided")
    return share


def in_words(name: str, value: Value) -> str:
    """A figure for a reader; empty where there is none.

    Args:
        name: of the figure.
        value: in the unit that the name ends in.

    Example:
        >>> in_words("ground-glass_opacity_ml", 268.434), in_words("severity_score", 6)
        ('ground-glass opacity 268 ml', 'severity score 6')
    """
    if not isinstance(value, float | int):
        return ""
    words = name.split("_")
    unit = f" {words.pop()}" if words[-1] in ("ml", "mm") else ""
    return f"{' '.join(words)} {figure_text(value)}{unit}"
