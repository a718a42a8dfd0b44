# SPDX-License-Identifier: Apache-2.0
"""Weights from a file: taken as they are, or refused with the file's name and the reason."""

from pathlib import Path

import pytest
import torch

from medvol.errors import InputError
from medvol.networks.weights import load_weights


@pytest.mark.parametrize("inside", [False, True], ids=["state dict", "under model"])
def test_weights_are_taken(tmp_path: Path, inside: bool) -> None:
    torch.manual_seed(0)
    given, network = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    state = given.state_dict()
    torch.save({"model": state} if inside else state, tmp_path / "gate.pt")
    load_weights(tmp_path / "gate.pt", network)
    assert torch.equal(network.weight, given.weight)


def test_what_cannot_be_taken_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 4).state_dict(), tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("version https://git-lfs.github.com/spec/v1")
    words = {
        "none.pt": ("cannot be read", "Copy models/none.pt into the bundle"),
        "text.pt": ("no state dict", "git lfs pull"),
        "other.pt": ("do not fit the network: size mismatch for bias", "same version"),
    }
    for name, (reason, remedy) in words.items():
        with pytest.raises(InputError) as caught:
            load_weights(tmp_path / name, torch.nn.Linear(2, 3))
        assert caught.value.code == "E_BUNDLE"
        assert reason in caught.value.reason
        assert remedy in caught.value.remedy
