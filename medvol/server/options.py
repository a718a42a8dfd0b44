# SPDX-License-Identifier: Apache-2.0
"""The options of a job, as `medvol predict` has them: what may change an answer, and formats."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..bundle.spec import Spec
from ..outputs.registry import OUTPUTS
from ..tasks.task import FOR_SOME, NOT_ASKED, task_of
from .refusals import Misused

LONGEST_SERIES = 200  # letters; a UID has 64, a description by DICOM as many
LARGEST_MM = 1000.0  # between pixels or slices


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_spacing(value: Any) -> bool:
    three = isinstance(value, list | tuple) and len(value) == 3
    return three and all(_is_number(x) and 0 < x <= LARGEST_MM for x in value)


CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "precision": (lambda value: value in ("fp32", "bf16"), "fp32 or bf16"),
    "gate": (lambda value: value == "off" or (_is_number(value) and 0 <= value <= 1),
             "a threshold, 0 to 1, or off"),
    "series": (lambda value: isinstance(value, str) and 0 < len(value) <= LONGEST_SERIES,
               "a series' number, description or UID, as text"),
    "spacing": (_is_spacing, "three numbers of mm above 0: columns, rows, slices"),
    "strict": (lambda value: isinstance(value, bool), "true or false"),
    "attention": (lambda value: value in ("grad-cam", "occlusion"), "grad-cam or occlusion"),
}  # fmt: skip


def checked(spec: Spec, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options that were given; those that say nothing are left out.

    Args:
        spec: of the bundle that is to run.
        options: by name, as a client gave them.

    Raises:
        Misused: there is no such option, it means nothing for this bundle's images, or its value is
            not one that it takes.
    """
    asked = {name: value for name, value in (options or {}).items() if value is not None}
    if unknown := sorted(set(asked) - set(NOT_ASKED)):
        names = ", ".join(NOT_ASKED)
        raise Misused(f"there is no option {unknown[0][:40]!r}; give some of {names}.")
    task = task_of(spec)
    for name, value in asked.items():
        fits, allowed = CHECKS[name]
        if not fits(value):
            raise Misused(f"{name} is {str(value)[:40]!r}; give {allowed}.")
        if name in FOR_SOME and name not in task.options:
            raise Misused(f"{spec.name} takes {task.takes}, for which there is no {name}.")
    return {
        name: asked[name] for name, usual in NOT_ASKED.items() if asked.get(name, usual) != usual
    }


def checked_formats(spec: Spec, formats: Sequence[str] | None) -> list[str] | None:
    """The formats of files that are asked for, in the order of `OUTPUTS`; None where all are.

    Args:
        spec: of the bundle that is to run.
        formats: names, as a client gave them.

    Raises:
        Misused: there is no such format, or answers of this bundle have none of its kind.
    """
    if formats is None:
        return None
    gives = task_of(spec).gives
    known = [name for name, x in OUTPUTS.items() if not x.together and not x.lacks(gives)]
    if wrong := [name for name in formats if name not in known]:
        some = ", ".join(known)
        raise Misused(
            f"answers of {spec.name} have no {str(wrong[0])[:40]!r}; give some of {some}."
        )
    return [name for name in known if name in formats]
