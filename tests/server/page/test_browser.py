# SPDX-License-Identifier: Apache-2.0
"""The page in a headless browser: an image is dropped, its answer is the command line's, and no
state of the page keeps anybody out."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvol.server.service import Service
from medvol.tasks.task import load_bundle

from .conftest import VENDOR, Visit

pytestmark = pytest.mark.slow  # a browser takes its time
PHONE = {"width": 320, "height": 640}


@pytest.fixture(scope="module")
def radiograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture whose top left quarter is a little brighter than the middle grey."""
    values = np.full((64, 64), 40, np.uint8)
    values[:32, :32] = 140
    path = tmp_path_factory.mktemp("radiograph") / "chest.png"
    Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_radiograph_gets_the_answer_of_the_command_line(
    visit: Visit, service: Service, radiograph: Path, dark: bool
) -> None:
    seen = visit("look.mjs", file=str(radiograph), bundle="tiny_xray", dark=dark, **PHONE)
    assert seen["states"] == {"start": [], "choice": [], "running": [], "result": []}
    assert (seen["outside"], seen["problems"], seen["answers"]) == ([], [], [])
    assert seen["notice"]
    assert seen["width"] == PHONE["width"]  # nothing sticks out on a phone
    answer = load_bundle(service.bundles["tiny_xray"].folder).predict(radiograph)
    assert answer.classes is not None
    for name, share in zip(answer.classes.names, answer.classes.probability, strict=True):
        assert f"{name}\t\n\t{100 * share:.1f}%" in seen["text"]


def test_a_volume_is_shown_with_its_mask(visit: Visit, chest_file: Path) -> None:
    if not VENDOR.is_file():
        pytest.skip("needs NiiVue: `make page`")
    seen = visit("look.mjs", file=str(chest_file), bundle="tiny_ct", language="es")
    assert seen["states"] == {"start": [], "choice": [], "running": [], "result": []}
    assert (seen["outside"], seen["problems"], seen["answers"]) == ([], [], [])
    assert seen["ready"] == "true"
    assert "consolidation" in seen["text"]
    assert "Medidas" in seen["text"]
