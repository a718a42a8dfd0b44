# SPDX-License-Identifier: Apache-2.0
"""What torchvision and timm call the weights of MONAI's EfficientNet."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

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
