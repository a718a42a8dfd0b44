# SPDX-License-Identifier: Apache-2.0
"""Where a classifier looked: a map over the radiograph of what its answer rests on."""

from copy import deepcopy

import numpy as np
import numpy.typing as npt
import torch
from monai.data import MetaTensor
from monai.visualize import GradCAM, OcclusionSensitivity
from torch import Tensor, nn

from ..errors import InputError
from ..images.image import Image
from ..kinds import is_of
from ..networks.residual_classifier import ResidualClassifier
from ..quiet import quiet
from ..transforms.resize_picture import ResizePictured, restore_picture
from .pipeline import Pipeline
from .steps import IMAGE

METHODS = {"grad-cam": "Grad-CAM", "occlusion": "occlusion"}
PATCHES = 8  # along a side of the picture, each as large as is hidden at once; they overlap by half
LEAST_FALL = 1e-4  # of a probability; less is rounding, and counts as 0
LAST_STAGE = "body.layer4"  # of a `ResidualClassifier`


class AttentionMaps:
    """Maps over radiographs of what speaks for a class, by one of two methods.

    "grad-cam" (Selvaraju et al., 2017, doi 10.1109/ICCV.2017.74) weighs the last feature maps by
    the gradient of the class's score. It is quick and coarse, and says nothing of how much: its
    highest value is always 1, or it is 0 everywhere where nothing speaks for the class.
    "occlusion" (Zeiler and Fergus, 2014) hides one part after the other behind the mean grey, and
    gives by how much the probability of the class falls, 0 to 1; it runs the network 225 times.

    Args:
        pipeline: of a bundle for radiographs, whose network is asked, in float32.
        method: of `METHODS`.

    Raises:
        ValueError: another method.
        InputError: E_BUNDLE, the bundle's chain is not one of medvol's, so that nobody knows where
            in the image its pixels come from.
    """

    def __init__(self, pipeline: Pipeline, *, method: str = "grad-cam") -> None:
        if method not in METHODS:
            raise ValueError(f"method is {method!r}; give one of {', '.join(METHODS)}")
        resizing = [step for step in pipeline.steps if is_of(step, ResizePictured)]
        if len(resizing) != 1:
            raise InputError(
                "E_BUNDLE", pipeline.spec.folder,
                "its chain is not medvol's for radiographs, which maps need.",
                "Use medvol.chains.radiograph in its inference.json, or ask for no maps.",
            )  # fmt: skip
        self.pipeline = pipeline
        self.method = method
        self.keep_aspect = resizing[0].keep_aspect
        self._network = deepcopy(pipeline.network)  # MONAI's hooks stay on what they watch

    def __call__(self, image: Image, index: int | None = None) -> npt.NDArray[np.float32]:
        """The map of one radiograph.

        Args:
            image: as it was read.
            index: of the class; None for the most probable one.

        Returns:
            (rows, columns) in [0, 1], on the image's own grid.

        Raises:
            InputError: E_BUNDLE, the network has no feature map for Grad-CAM.
            ValueError: no such class.
        """
        classes = len(self.pipeline.spec.classes)
        if index is not None and not 0 <= index < classes:
            raise ValueError(f"index is {index}; give 0 to {classes - 1}")
        prepared = self.pipeline.prepare(image).data[IMAGE]
        picture = torch.as_tensor(prepared)[None].to(self.pipeline.device)
        if isinstance(picture, MetaTensor):
            picture = picture.as_tensor()
        if index is None:
            with torch.inference_mode():
                index = int(self._network(picture).argmax())
        heat = self._heat(picture, index)
        rows, columns = image.array.shape
        heat = restore_picture(heat[None].cpu(), (rows, columns), keep_aspect=self.keep_aspect)[0]
        if self.method == "grad-cam" and (highest := float(heat.max())) > 0:
            heat = heat / highest
        return heat.clamp(0, 1).numpy()

    def _heat(self, picture: Tensor, index: int) -> Tensor:
        if self.method == "occlusion":
            return occlusion(self._network, picture, index=index)
        layer = last_feature_map(self._network, picture)
        if layer is None:
            raise InputError(
                "E_BUNDLE", self.pipeline.spec.folder,
                "its network has no 2D convolution that gives a picture, which Grad-CAM needs.",
                "Ask for occlusion in place of it.",
            )  # fmt: skip
        return grad_cam(self._network, picture, index=index, layer=layer)


def grad_cam(network: nn.Module, picture: Tensor, *, index: int, layer: str) -> Tensor:
    """MONAI's Grad-CAM.

    Args:
        network: in evaluation mode; keeps hooks, so give a copy.
        picture: (1, C, rows, columns).
        index: of the class.
        layer: name of the layer whose output is weighed.

    Returns:
        (rows, columns), 0 or more.
    """
    picture = picture.clone().requires_grad_()  # also through a body that is frozen
    with torch.enable_grad():
        watch = GradCAM(network, layer, postprocessing=_as_it_is)
        heat: Tensor = watch(picture, class_idx=index)
    return heat[0, 0].detach()


def last_feature_map(network: nn.Module, picture: Tensor) -> str | None:
    """Name of the last layer that gives a picture: the last stage, or the last 2D convolution.

    Args:
        network: in evaluation mode.
        picture: (1, C, rows, columns).

    Returns:
        None where no convolution gives a picture of more than one pixel.
    """
    if is_of(network, ResidualClassifier):
        return LAST_STAGE
    seen: list[str] = []

    def watching(name: str) -> object:
        def hook(_: nn.Module, __: object, output: Tensor) -> None:
            if output.shape[-2] * output.shape[-1] > 1:
                seen.append(name)

        return hook

    hooks = [
        layer.register_forward_hook(watching(name))  # type: ignore[arg-type]
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d)
    ]
    try:
        with torch.no_grad():
            network(picture)
    finally:
        for hook in hooks:
            hook.remove()
    return seen[-1] if seen else None


def occlusion(network: nn.Module, picture: Tensor, *, index: int) -> Tensor:
    """By how much the probability of a class falls when a part of the picture is hidden.

    Args:
        network: in evaluation mode.
        picture: (1, C, rows, columns).
        index: of the class.

    Returns:
        (rows, columns) in [0, 1]; 0 where the probability rises, or falls by less than
        `LEAST_FALL`.
    """
    sides = [max(1, side // PATCHES) for side in picture.shape[2:]]
    hide = OcclusionSensitivity(
        network, mask_size=sides, mode="mean_img", overlap=0.5, verbose=False, activate=_softmax
    )
    # MONAI 1.6.1 indexes with a list of slices, as torch 2.13 still takes it, with a warning
    with torch.inference_mode(), quiet():
        whole = _softmax(network(picture))[0, index]
        hidden, _ = hide(picture)
    fall = whole - hidden[0, index]
    return fall.where(fall >= LEAST_FALL, 0.0)


def _softmax(scores: Tensor) -> Tensor:
    return scores.softmax(1)


def _as_it_is(heat: Tensor) -> Tensor:
    return heat
