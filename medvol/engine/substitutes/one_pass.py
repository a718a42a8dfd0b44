# SPDX-License-Identifier: Apache-2.0
"""Which neighbouring steps are done in one pass over a volume."""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

from monai.transforms import (
    CastToTyped,
    CropForegroundd,
    EnsureChannelFirstd,
    EnsureTyped,
    NormalizeIntensityd,
    Orientationd,
    ScaleIntensityRanged,
    Spacingd,
)

from ...transforms.intensity import PaddingToAird, WindowHUd
from ...transforms.resample import ResampleSpacingd
from ..steps import add_channel
from .cropping import cropped
from .grid import Known, OnePassd
from .intensity import ours, scaled, typed
from .normalising import normalised
from .orientation import turned
from .rule import Equal
from .spacing import our_spacing, spaced

AS_IT_STANDS = Known(as_it_stands=True)
# what is known of a step of exactly this class; None where its arguments are others
KNOWN: dict[type, Callable[[Any], Known | None]] = {
    EnsureChannelFirstd: lambda _: AS_IT_STANDS,  # a view
    Orientationd: turned,
    Spacingd: spaced,
    ResampleSpacingd: our_spacing,
    CropForegroundd: cropped,
    NormalizeIntensityd: normalised,
    ScaleIntensityRanged: scaled,
    PaddingToAird: ours,
    WindowHUd: ours,
    EnsureTyped: typed,
    CastToTyped: typed,
}


def in_one_pass(steps: Sequence[Any]) -> Equal | None:
    """The rule for steps that follow each other, of which one moves voxels or looks at them all."""
    found = list[tuple[Any, Sequence[Hashable], Known]]()
    for step in steps:
        known = _known(step)  # any other step need not have keys
        if known is None:
            break
        keys = step.keywords["keys"] if _adds_channel(step) else step.keys
        found.append((step, keys, known))
    if not any(known.gains or known.moves for _, _, known in found):
        return None
    return Equal(len(found), OnePassd(found), "one pass, axis by axis, without copies")


def _known(step: Any) -> Known | None:
    if _adds_channel(step):
        return AS_IT_STANDS
    look = KNOWN.get(type(step))
    return None if look is None or getattr(step, "lazy", False) else look(step)


def _adds_channel(step: Any) -> bool:
    return isinstance(step, partial) and step.func is add_channel
