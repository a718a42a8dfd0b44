# SPDX-License-Identifier: Apache-2.0
"""EfficientNet as a classifier of 2D images that takes weights of torchvision and timm."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, NamedTuple

from monai.networks.nets.efficientnet import EfficientNet
from torch import nn

from .transfer import TransferClassifier, check_at_least_one

# multiples of channels and of layers per stage; Tan and Le 2019, as their code has them
VARIANTS: Mapping[str, tuple[float, float]] = {
    "b0": (1.0, 1.0), "b1": (1.0, 1.1), "b2": (1.1, 1.2), "b3": (1.2, 1.4), "b4": (1.4, 1.8),
}  # fmt: skip
# per stage: repeats, kernel, stride, expansion, channels in and out, squeeze; same paper, table 1
STAGES = (
    "r1_k3_s11_e1_i32_o16_se0.25", "r2_k3_s22_e6_i16_o24_se0.25", "r2_k5_s22_e6_i24_o40_se0.25",
    "r3_k3_s22_e6_i40_o80_se0.25", "r3_k5_s11_e6_i80_o112_se0.25", "r4_k5_s22_e6_i112_o192_se0.25",
    "r1_k3_s11_e6_i192_o320_se0.25",
)  # fmt: skip
NORM = ("batch", {"eps": 1e-5, "momentum": 0.1})  # as torchvision and timm train b0 to b4
IN_BLOCK = re.compile(r"_blocks\.(\d+)\.(\d+)\.(\w+)\.(\w+)")


class Layout(NamedTuple):
    """Names of one library, by MONAI's.

    `outside` the blocks, where {last} is one more than the number of stages; `block`, the start
    of a block's names; `parts` of a block, and those of a block that does not `expand` its
    channels, as in the first stage.
    """

    outside: Mapping[str, str]
    block: str
    parts: Mapping[str, str]
    first_parts: Mapping[str, str]


TORCHVISION = Layout(
    {
        "_conv_stem": "features.0.0", "_bn0": "features.0.1",
        "_conv_head": "features.{last}.0", "_bn1": "features.{last}.1",
    },
    "features.{stage_from_1}.{block}.block.",
    {
        "_expand_conv": "0.0", "_bn0": "0.1", "_depthwise_conv": "1.0", "_bn1": "1.1",
        "_se_reduce": "2.fc1", "_se_expand": "2.fc2", "_project_conv": "3.0", "_bn2": "3.1",
    },
    {
        "_depthwise_conv": "0.0", "_bn1": "0.1", "_se_reduce": "1.fc1", "_se_expand": "1.fc2",
        "_project_conv": "2.0", "_bn2": "2.1",
    },
)  # fmt: skip
TIMM = Layout(
    {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"},
    "blocks.{stage}.{block}.",
    {
        "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
        "_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand",
        "_project_conv": "conv_pwl", "_bn2": "bn3",
    },
    {
        "_depthwise_conv": "conv_dw", "_bn1": "bn1", "_se_reduce": "se.conv_reduce",
        "_se_expand": "se.conv_expand", "_project_conv": "conv_pw", "_bn2": "bn2",
    },
)  # fmt: skip


class EfficientNetClassifier(TransferClassifier):
    """EfficientNet-B0 to B4 for 2D images (MONAI's), and a dense head.

    The names of torchvision and timm are translated, so that their ImageNet weights fit, see
    `load_body`. As in theirs, and unlike MONAI's, convolutions are padded alike on both sides,
    whatever the image's size; weights of TensorFlow, "tf_" in timm, fit by name but were trained
    with another padding. B0 with one channel and two
    classes has 4,009,534 parameters. Tan and Le, "EfficientNet: Rethinking model scaling for
    convolutional neural networks", 2019 (arXiv 1905.11946).

    Args:
        in_channels: channels of the input.
        out_channels: classes; 1 for a single score per image.
        variant: "b0" to "b4".
        width: multiple of the variant's channels; 1 is the published network, less trains on few
            cores.
        stochastic_depth: probability of leaving out the last block while training, less for the
            blocks before it.
        hidden: sizes of dense layers before the last.
        dropout: probability of zeroing a feature before each dense layer of the head.

    Returns (forward):
        scores (B, out_channels) of images (B, in_channels, X, Y), before softmax or sigmoid.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> import torch
        >>> net = EfficientNetClassifier(1, 2, width=0.25)
        >>> net(torch.zeros(2, 1, 64, 50)).shape
        torch.Size([2, 2])
    """

    fitting = "an EfficientNet in the layout of torchvision, timm or MONAI"
    variants: ClassVar[Mapping[str, tuple[float, float]]] = VARIANTS

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        variant: str = "b0",
        width: float = 1.0,
        stochastic_depth: float = 0.2,
        hidden: Sequence[int] = (),
        dropout: float = 0.2,
    ) -> None:
        check_at_least_one(in_channels=in_channels)
        if variant not in self.variants:
            raise ValueError(f"variant is {variant!r}; give one of {', '.join(self.variants)}")
        if not width > 0:
            raise ValueError(f"width is {width}; give a multiple above 0")
        if not 0 <= stochastic_depth < 1:
            raise ValueError(f"stochastic_depth is {stochastic_depth}; give 0 or more, below 1")
        wider, deeper = self.variants[variant]
        body = self._published(in_channels, width * wider, deeper, stochastic_depth)
        features = body._fc.in_features
        body._dropout, body._fc = nn.Identity(), nn.Identity()
        blocks = [[f"_blocks.{stage}"] for stage in range(len(STAGES))]
        stages = [["_conv_stem", "_bn0"], *blocks, ["_conv_head", "_bn1"]]
        super().__init__(
            body, stages, features=features, out_channels=out_channels, hidden=hidden,
            dropout=dropout,
        )  # fmt: skip

    def own_names(self, given: Iterable[str]) -> dict[str, str]:
        """In whichever layout most names mean something."""
        return names_in(self._layouts([*self.body.state_dict()]), given)

    @staticmethod
    def _published(
        in_channels: int, width: float, depth: float, stochastic_depth: float
    ) -> EfficientNet:
        """The network that the body is made of; width and depth are multiples of those of b0."""
        body = EfficientNet(
            list(STAGES), 2, in_channels, 1, width, depth, norm=NORM,
            drop_connect_rate=stochastic_depth,
        )  # fmt: skip
        replace_in(body, padding=padded_evenly, activation=nn.SiLU)
        return body

    @staticmethod
    def _layouts(own: Sequence[str]) -> list[dict[str, str]]:
        """The body's name of a weight, by its name in each of the layouts of others."""
        return [names_from(TORCHVISION, own), names_from(TIMM, own)]


def replace_in(
    body: EfficientNet,
    *,
    padding: Callable[[nn.Module], nn.Module],
    activation: Callable[[], nn.Module],
) -> None:
    """Another padding and activation; MONAI's pads for one size, and TorchScript lacks its swish.

    Args:
        body: is changed.
        padding: what stands before a convolution, by the convolution.
        activation: makes what follows the normalisation.
    """
    for part in body.modules():
        for name, _ in list(part.named_children()):
            if name.endswith("_padding"):
                convolution = getattr(part, name.removesuffix("_padding"))
                setattr(part, name, padding(convolution))
            elif name == "_swish":
                setattr(part, name, activation())


def padded_evenly(convolution: nn.Module) -> nn.Module:
    """Let a convolution pad alike on both sides; nothing stands before it."""
    if isinstance(convolution, nn.Conv2d):  # none where a block does not expand its channels
        rows, columns = convolution.kernel_size
        convolution.padding = (rows // 2, columns // 2)
    return nn.Identity()


def names_in(layouts: Iterable[Mapping[str, str]], given: Iterable[str]) -> dict[str, str]:
    """The names within a body of weights, in the layout in which most of them mean something.

    Args:
        layouts: of others: their names to names within the body.
        given: all names of a state dict, of a body alone or of a network ("body." before each).

    Returns:
        given name to name within the body; a name that means nothing stays as it is.
    """
    stripped = {name: name.removeprefix("body.") for name in given}
    known: tuple[Mapping[str, str], ...] = ({}, *layouts)
    best = max(known, key=lambda names: len(names.keys() & {*stripped.values()}))
    return {name: best.get(short, short) for name, short in stripped.items()}


def names_from(layout: Layout, own: Sequence[str]) -> dict[str, str]:
    """MONAI's name of each weight, by its name in another layout.

    MONAI counts blocks through all stages, the others begin anew in each.

    Args:
        layout: `TORCHVISION` or `TIMM`.
        own: all names of the weights of MONAI's EfficientNet, without those of its last layer.

    Example:
        >>> names_from(TIMM, ["_blocks.1.1._bn0.weight", "_blocks.1.1._expand_conv.weight"])
        {'blocks.1.0.bn1.weight': '_blocks.1.1._bn0.weight', \
'blocks.1.0.conv_pw.weight': '_blocks.1.1._expand_conv.weight'}
    """
    first = _first_blocks(own)
    names = {}
    for name in own:
        if found := IN_BLOCK.fullmatch(name):
            stage, block = int(found[1]), int(found[2])
            expands = f"_blocks.{stage}.{block}._expand_conv.weight" in own
            parts = layout.parts if expands else layout.first_parts
            start = layout.block.format(
                stage=stage, stage_from_1=stage + 1, block=block - first[stage]
            )
            names[f"{start}{parts[found[3]]}.{found[4]}"] = name
        else:
            part, _, kind = name.partition(".")
            names[f"{layout.outside[part].format(last=len(first) + 1)}.{kind}"] = name
    return names


def _first_blocks(own: Iterable[str]) -> dict[int, int]:
    """Stage to the number of its first block."""
    first: dict[int, int] = {}
    for found in filter(None, map(IN_BLOCK.fullmatch, own)):
        stage, block = int(found[1]), int(found[2])
        first[stage] = min(block, first.get(stage, block))
    return first
