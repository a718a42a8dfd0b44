# SPDX-License-Identifier: Apache-2.0
"""What a file has for a network, by hand: taken, missing, of a deeper network, a head."""

import re

import pytest
import torch
from torch import Tensor, nn

from medvol.networks.fit import Fit, begins, fit_partly, fit_whole, head_of
from medvol.networks.resunet import ResUNet


def state(**sizes: int) -> dict[str, Tensor]:
    return {name.replace("_", "."): torch.zeros(size) for name, size in sizes.items()}


OWN = state(a_0_w=1, a_1_w=2, head_w=3)


def test_all_of_it_or_what_does_not_fit_by_kind() -> None:
    assert fit_whole(OWN, OWN) == OWN
    own = {**OWN, "a.1.num_batches_tracked": torch.tensor(0)}
    assert fit_whole(own, OWN) == OWN
    with pytest.raises(ValueError, match="is missing") as caught:
        fit_whole(OWN, state(a_0_w=1, a_1_w=5, b_w=1, c_w=1))
    assert str(caught.value) == (
        "1 of 3 weights is missing (head.w), 2 are unexpected (b.w, c.w), 1 differs (a.1.w has "
        "shape (5,), the network (2,))"
    )


@pytest.mark.parametrize(
    ("given", "missing", "unexpected"),
    [
        (state(a_0_w=1, a_1_w=2, head_w=3), (), ()),
        (state(a_0_w=1, a_1_w=2), ("head.w",), ()),
        (state(a_0_w=1, a_1_w=2, head_w=9), ("head.w",), ()),
        (state(a_0_w=1, a_1_w=2, fc_w=9, aux_w=1), ("head.w",), ("fc.w", "aux.w")),
        (state(a_0_w=1, a_1_w=2, a_2_w=9), ("head.w",), ("a.2.w",)),  # as VGG's classifier.6
        (state(a_0_w=1, a_1_w=2, head_w=3, head_3_w=1), (), ("head.3.w",)),
    ],
)
def test_all_but_a_head(
    given: dict[str, Tensor], missing: tuple[str, ...], unexpected: tuple[str, ...]
) -> None:
    found = fit_partly(OWN, given, head={"head.w"})
    assert found[1:] == (missing, unexpected)
    assert set(found.taken) == set(OWN) - set(missing)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (state(a_0_w=1), "1 of 3 weights is missing (a.1.w)"),
        (state(a_0_w=1, a_1_w=2, a_2_w=1, a_3_w=1), "1 is unexpected (a.2.w)"),  # and a.3 a head
        (state(a_0_w=1, a_1_w=2, a_2_w=1, head_w=3), "1 is unexpected (a.2.w)"),
        (state(a_0_w=7, a_1_w=2), "1 differs (a.0.w has shape (7,), the network (1,))"),
        (state(b_w=1), "2 of 3 weights are missing (a.0.w, a.1.w)"),
    ],
)
def test_a_part_of_the_body_is_refused(given: dict[str, Tensor], words: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        fit_partly(OWN, given, head={"head.w"})


def test_what_may_be_missing_is_named() -> None:
    found = fit_partly(OWN, state(a_0_w=1), head={"head.w"}, may_lack=["a.1"])
    assert found == Fit(found.taken, ("a.1.w", "head.w"), ())
    with pytest.raises(ValueError, match="none of its weights fits the network"):
        fit_partly(OWN, {}, head={"head.w"}, may_lack=["a"])
    assert begins("a.1.w", ["a.1"])
    assert begins("a.1", ["a.1"])
    assert not begins("a.10.w", ["a.1"])


def test_the_head_of_a_network() -> None:
    heads = head_of(ResUNet(2, 1, 2, features=(4, 8)))
    assert heads == {"heads.0.conv.weight", "heads.0.conv.bias"}
    inner = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1))
    assert head_of(nn.ModuleDict({"model": inner})) == {"model.2.weight", "model.2.bias"}
    assert head_of(nn.ReLU()) == set()
