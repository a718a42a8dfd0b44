# SPDX-License-Identifier: Apache-2.0
"""Whether values are HU as they should be: where gas and soft tissue lie, and slice beside slice.

Measured on 23 public chest CTs: the highest peak of gas lies at -1010 to -970, the high peaks of
soft tissue at -110 to 50. Of 15 of them with everything but the lungs taken out, the highest peak
of gas lies at -910 to -590, and 1 % of the gas is darker than -955 to -910.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InputError, Note

Values = npt.NDArray[np.float32]

MAX_HU = 32767  # of 16 bits with sign; metal on an extended scale comes to 31743
BIN_HU = 20
GAS_HU, TISSUE_HU = (-1150, -300), (-300, 400)
GAS_PEAK_BELOW_HU = -500
DARKEST_GAS = 1  # percentile
LIGHT_HU, TOO_LIGHT_HU = -900, -800  # for the darkest gas; a slope of 0.75 gives -768
DARK_HU = -1075  # for the peak of gas
HIGH_PEAK, MIN_PEAK = 0.25, 0.01  # of the highest peak of tissue; of all voxels, in a bin
TISSUE_AT_HU = (-75, 100)  # the rightmost high peak
FIRST_TISSUE_HU = 125  # at most the first high peak, of fat or muscle, which contrast does not lift
LEAST_TISSUE_HU, MOST_TISSUE_HU = -200, 200  # where air is: for the last and the first high peak
AIR_BELOW_HU, MIN_AIR_SHARE = -950, 0.05  # in the CTs 0.13 of the voxels or more, in lungs 0.015
FILL_SHARE = 0.2  # noise gives no single value so many voxels; around lungs that were cut out
AIR_AT_HU = -925  # a peak of gas above it is lung, or air that was shifted
PADDING_BELOW_HU, PADDING_SHARE = -1050, 0.005
MIN_CORRELATION = 0.3  # of neighbours; the CTs have 0.94 and more, noise 0
SLICE_SAMPLES = 48  # along an axis of a slice
SLICE_HU = 200  # mean distance of two slices' sorted values; in the CTs at most 56


class Levels(NamedTuple):
    """Where gas and soft tissue lie in an image, in HU.

    Args:
        gas: highest peak of gas, HU.
        darkest: 1 % of the gas is darker, HU.
        tissues: high peaks of soft tissue in rising order, HU.
        beyond: most of what is darker than tissue is darker than air can be.
        scaled: air lies around the body where it should, and soft tissue does not.
    """

    gas: float
    darkest: float
    tissues: tuple[float, ...]
    beyond: bool
    scaled: bool

    @property
    def tissue(self) -> float | None:
        """Rightmost high peak of soft tissue, HU; None where there is none."""
        return self.tissues[-1] if self.tissues else None

    @property
    def are_hu(self) -> bool:
        """Whether they can be a CT's, though shifted a little."""
        return not self.beyond and not self.scaled and self.darkest <= TOO_LIGHT_HU

    def notes(self) -> list[Note]:
        """A remark where gas or tissue lies elsewhere than in other CTs."""
        lifted = self.gas > AIR_AT_HU and self.tissue is not None and self.tissue > TISSUE_AT_HU[1]
        lifted |= bool(self.tissues) and self.tissues[0] > FIRST_TISSUE_HU
        sunk = self.gas < DARK_HU or (self.tissue is not None and self.tissue < TISSUE_AT_HU[0])
        if not (lifted or sunk or self.darkest > LIGHT_HU):
            return []
        tissue = "" if self.tissue is None else f", soft tissue near {self.tissue:.0f} HU"
        text = f"gas lies near {self.gas:.0f} HU (its darkest at {self.darkest:.0f}){tissue}; "
        return [Note("N_SHIFT", text + "in other CTs air is near -1000, soft tissue at 0 to 60.")]


def levels_of(values: Values) -> Levels:
    """Where gas and soft tissue lie.

    Args:
        values: (n,) of a volume in HU.
    """
    count, values = values.size, _without_padding(values)
    gas = values[(values >= GAS_HU[0]) & (values < GAS_HU[1])]
    beyond = bool((values < GAS_HU[0]).sum() > (gas < GAS_PEAK_BELOW_HU).sum())
    share, middle = _histogram(values, (GAS_HU[0], TISSUE_HU[1]))
    peak = int(share[middle < GAS_PEAK_BELOW_HU].argmax())
    darkest = float(np.percentile(gas, DARKEST_GAS)) if gas.size else GAS_HU[0]
    tissues = _tissue_peaks(values)
    scaled = _has_air(gas, count) and (
        not tissues or tissues[0] > MOST_TISSUE_HU or tissues[-1] < LEAST_TISSUE_HU
    )
    return Levels(float(middle[peak]), darkest, tissues, beyond, scaled)


def are_neighbours_alike(array: npt.NDArray[Any], step: int) -> bool:
    """Whether neighbours along some axis go together, as in noise they do not.

    Args:
        array: (X, Y, Z) in HU.
        step: each such voxel along each axis is looked at.
    """
    for axis in range(3):
        turned = np.moveaxis(array, axis, 0)
        pairs = (turned[:-1:step, ::step, ::step], turned[1::step, ::step, ::step])
        one, other = (np.clip(side.astype(np.float32).ravel(), -1500, 1500) for side in pairs)
        together = float(np.mean((one - one.mean()) * (other - other.mean())))
        if together >= MIN_CORRELATION * float(one.std() * other.std()):
            return True
    return False


def check_slices(array: npt.NDArray[Any], path: Path) -> None:
    """Refuse a volume (X, Y, Z) with a slice whose HU contradict those of both its neighbours.

    Slices are those along the last axis, as series and their conversions have them. Empty slices at
    either end are passed by: padding.

    Raises:
        InputError: E_MODALITY, values above what HU can be; E_VALUES, a slice unlike its
            neighbours, or without any content between others.
    """
    if (highest := float(array.max())) > MAX_HU:
        at = int(np.unravel_index(int(array.argmax()), array.shape)[2]) + 1
        reason = f"slice {at} of {array.shape[2]} holds {highest:.6g}; no HU is above {MAX_HU}."
        raise InputError("E_MODALITY", path, reason, "Export it again in Hounsfield units.")
    steps = [max(1, n // SLICE_SAMPLES) for n in array.shape[:2]]
    few = array[:: steps[0], :: steps[1]].reshape(-1, array.shape[2]).astype(np.float32)
    levels = np.sort(few.clip(PADDING_BELOW_HU, None), axis=0)
    filled = np.flatnonzero(levels[0] < levels[-1])
    if filled.size < 3:
        return
    first, last = int(filled[0]), int(filled[-1]) + 1
    empty = sorted(set(range(first, last)) - set(filled.tolist()))
    changes = np.abs(np.diff(levels[:, first:last], axis=1))
    step_hu = changes.mean(0)
    before, after = np.r_[step_hu[1], step_hu], np.r_[step_hu, step_hu[-2]]
    apart = np.minimum(before, after)
    apart[0], apart[-1] = step_hu[0] - step_hu[1], step_hu[-1] - step_hu[-2]
    odd = int(apart.argmax())
    moved = changes.min(0)  # where the body begins, air stays air
    jump = int(moved.argmax())
    if empty:
        reason = f"slice {empty[0] + 1} of {array.shape[2]} has one value everywhere "
        reason += f"({levels[0, empty[0]]:g}), between slices that have not."
    elif apart[odd] > SLICE_HU:
        reason = f"slice {first + odd + 1} of {array.shape[2]} differs from the slices beside it "
        reason += f"by {apart[odd]:.0f} HU in the mean; its scaling is another, or it was damaged."
    elif moved[jump] > SLICE_HU:
        reason = f"all values change by {moved[jump]:.0f} HU or more between slices "
        reason += f"{first + jump + 1} and {first + jump + 2} of {array.shape[2]}, so two scalings "
        reason += "are mixed."
    else:
        return
    raise InputError("E_VALUES", path, reason, "Export the series again from the original files.")


def _without_padding(values: Values) -> Values:
    """Without single values below air that make up most of what is about there."""
    dark, counts = np.unique(values[values < PADDING_BELOW_HU], return_counts=True)
    near = [counts[np.abs(dark - level) <= -PADDING_BELOW_HU / 20].sum() for level in dark]
    padding = dark[(counts > np.array(near) / 2) & (counts > PADDING_SHARE * values.size)]
    return values[~np.isin(values, padding)]


def _histogram(
    values: Values, limits: tuple[int, int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Smoothed share of the values in each bin, and the bins' middles."""
    edges = np.arange(limits[0], limits[1] + 1, BIN_HU, dtype=np.float64)
    share = np.histogram(values, edges)[0] / max(1, values.size)
    kernel = np.array([1, 2, 3, 2, 1]) / 9
    smooth = np.convolve(np.pad(share, 2, mode="edge"), kernel, "valid")
    return smooth.astype(np.float64), edges[:-1] + BIN_HU / 2


def _has_air(gas: Values, count: int) -> bool:
    """Whether there is air around the body; a value that fills `FILL_SHARE` is left out."""
    levels, counts = np.unique(gas, return_counts=True)
    around = gas[~np.isin(gas, levels[counts > FILL_SHARE * count])]
    return bool((around < AIR_BELOW_HU).sum() > MIN_AIR_SHARE * count)


def _tissue_peaks(values: Values) -> tuple[float, ...]:
    saturated = values == values.max()
    if saturated.mean() > PADDING_SHARE:
        values = values[~saturated]
    share, middle = _histogram(values, TISSUE_HU)
    inner = share[1:-1]
    high = max(HIGH_PEAK * float(inner.max()), MIN_PEAK)
    peaks = (inner >= share[:-2]) & (inner > share[2:]) & (inner >= high)
    return tuple(middle[1:-1][peaks].tolist())
