# SPDX-License-Identifier: Apache-2.0
"""Parts of a bundle that lead to a device, which can be read without end, are refused at once."""

import os
from pathlib import Path

import pytest
from tiny_bundle import tiny_bundle

from medvol.bundle.parser import Parser
from medvol.bundle.spec import spec_in
from medvol.errors import InputError
from medvol.metadata import read_metadata

DEVICE = Path("/dev/null")  # as endless as others, and ends where the test fails

pytestmark = pytest.mark.skipif(not DEVICE.exists(), reason="devices as POSIX has them")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return tiny_bundle(tmp_path / "gift")


def lead_away(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(DEVICE)


def test_weights(bundle: Path) -> None:
    lead_away(bundle / "models" / "model.pt")
    with pytest.raises(InputError, match="it is not a file of weights"):
        _ = spec_in(bundle).weights_sha256


def test_metadata(bundle: Path) -> None:
    lead_away(bundle / "configs" / "metadata.json")
    with pytest.raises(InputError, match="it is not a file"):
        read_metadata(bundle)


def test_a_config(bundle: Path) -> None:
    lead_away(bundle / "configs" / "inference.json")
    with pytest.raises(ValueError, match="it is not a file"):
        Parser.load_config_file(bundle / "configs" / "inference.json")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes as POSIX has them")
def test_a_pipe_is_not_waited_for(bundle: Path) -> None:
    (bundle / "configs" / "inference.json").unlink()
    os.mkfifo(bundle / "configs" / "inference.json")
    with pytest.raises(ValueError, match="it is not a file"):
        Parser.load_config_file(bundle / "configs" / "inference.json")
