# SPDX-License-Identifier: Apache-2.0
"""A bundle's inference config with what the user asks for: device, gate, mirror images."""

import os

import torch

from ..bundle.config import Config
from ..bundle.foreign import GATE, inference_config
from ..bundle.spec import Spec
from ..errors import InputError
from ..labels import names_a_side

MIRROR = "mirror"  # id in inference.json
LEFT_RIGHT = 0  # axis of a chain's images, which are RAS


def configured(
    spec: Spec, device: torch.device, *, gate: float | str | None = None, mirror: bool = False
) -> Config:
    """`configs/inference.json` of a bundle, or what it has in its place.

    Args:
        spec: of the bundle.
        device: that it runs on.
        gate: threshold of its gate, 0 to 1, or "off"; None keeps its own.
        mirror: average with the image mirrored left to right, as well as where it says so itself.

    Raises:
        InputError: E_BUNDLE, it cannot be read, a threshold is given and it has no gate, or mirror
            images are asked for and it knows none, or has labels of one side.
    """
    config = Config(
        inference_config(spec.folder),
        bundle_root=os.fspath(spec.folder),
        device=f"$torch.device({str(device)!r})",
    )
    if gate is not None:
        if GATE not in config:
            raise InputError(
                "E_BUNDLE", spec.folder, f"its inference.json has no `{GATE}`, so no gate.",
                "Leave the threshold out, or add a gate as docs/cascade.md shows.",
            )  # fmt: skip
        config.parser[GATE] = None if gate == "off" else float(gate)
    if mirror:
        config.parser[MIRROR] = _with_left_right(spec, config)
    return config


def _with_left_right(spec: Spec, config: Config) -> list[int]:
    """The axes along which images are mirrored, left to right among them."""
    if MIRROR not in config:
        why = f"its inference.json has no `{MIRROR}`, so it knows no mirror images."
    elif one_sided := [label.name for label in spec.labels if names_a_side(label.name)]:
        why = f"mirrored, its label {one_sided[0]} would be the one of the other side."
    else:
        return sorted({LEFT_RIGHT, *config.parser[MIRROR]})
    raise InputError("E_BUNDLE", spec.folder, why, "Leave out --mirror.")
