# SPDX-License-Identifier: Apache-2.0
"""Which steps of a training have a faster equal, and under which settings."""

from collections.abc import Callable, Sequence
from typing import Any

import monai.transforms as stock
import numpy as np
import torch

from ...transforms.slice_stack import RandSliceStackd
from .affine import MODES, PADDINGS, AffineStep
from .crops import CentredPatches, PosNegPatches, RandomPatch
from .steps import BatchStep, StockPatch, StockStep
from .values import (
    ContrastStep,
    DropoutStep,
    FlipStep,
    NoiseStep,
    ScaleStep,
    ShiftStep,
    SmoothStep,
)


def batch_steps(steps: Sequence[Any]) -> list[BatchStep]:
    """Each step as one on the samples of a batch, the faster equal where there is one.

    Subclasses of a stock step, steps that work lazily and settings that are not known stay as they
    are.

    Args:
        steps: dict transforms, from the first random one on.
    """
    return [_equal(step) or StockStep(step) for step in steps]


def _equal(step: Any) -> BatchStep | None:
    make = _EQUALS.get(type(step))
    return make(step) if make and not getattr(step, "lazy", False) else None


def _affine(step: Any) -> BatchStep | None:
    known = set(step.mode) <= {*MODES} and set(step.padding_mode) <= {*PADDINGS}
    device = step.rand_affine.resampler.device
    return AffineStep(step) if known and device in (None, torch.device("cpu")) else None


def _noise(step: Any) -> BatchStep | None:
    dtype = step.rand_gaussian_noise.dtype
    return NoiseStep(step) if dtype in ("float32", np.float32) else None


def _scale(step: Any) -> BatchStep | None:
    return ScaleStep(step) if step.scaler.dtype in ("float32", np.float32) else None


def _shift(step: Any) -> BatchStep | None:
    plain = not any(step.factor_key) and not step.shifter._shifter.safe
    return ShiftStep(step) if plain else None


def _contrast(step: Any) -> BatchStep | None:
    contrast = step.adjuster.adjust_contrast
    return None if contrast.invert_image or contrast.retain_stats else ContrastStep(step)


def _dropout(step: Any) -> BatchStep | None:
    one = isinstance(step.dropper.fill_value, int | float) and step.dropper.dropout_holes
    return DropoutStep(step) if one else None


def _spatial_crop(step: Any) -> BatchStep | None:
    return RandomPatch(step) if step.cropper.random_center else None


def _classes(step: Any) -> BatchStep:
    return CentredPatches(step, (step.indices_key,))


def _pos_neg(step: Any) -> BatchStep:
    return PosNegPatches(step, (step.fg_indices_key, step.bg_indices_key))


_EQUALS: dict[type, Callable[[Any], BatchStep | None]] = {
    stock.RandAffined: _affine,
    stock.RandFlipd: FlipStep,
    stock.RandGaussianNoised: _noise,
    stock.RandScaleIntensityd: _scale,
    stock.RandShiftIntensityd: _shift,
    stock.RandAdjustContrastd: _contrast,
    stock.RandGaussianSmoothd: SmoothStep,
    stock.RandCoarseDropoutd: _dropout,
    stock.RandSpatialCropd: _spatial_crop,
    stock.RandCropByLabelClassesd: _classes,
    stock.RandCropByPosNegLabeld: _pos_neg,
    RandSliceStackd: StockPatch,
}
