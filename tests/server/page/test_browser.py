# SPDX-License-Identifier: Apache-2.0
"""The page in a headless browser: an image is dropped, its answer is the command line's, and no
state of the page keeps anybody out."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_phantoms import ct_series, write
from phantoms import tiny_chest
from PIL import Image
from serving import serving

from medvol.server.app import create_app
from medvol.server.service import Service
from medvol.server.settings import Settings
from medvol.tasks.task import load_bundle
from medvol.text import ml_text

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


def warm(path: Path) -> int:
    """How many pixels are yellow or red, as lesions are; the image is grey, the crosshair cyan.

    The first 40 rows are left out: over them the page's notice may lie.
    """
    values = np.asarray(Image.open(path).convert("RGB"), int)[40:]
    red, _, blue = np.moveaxis(values, -1, 0)
    return int((red - blue > 60).sum())


def test_a_volume_is_shown_with_its_mask(visit: Visit, chest_file: Path, tmp_path: Path) -> None:
    if not VENDOR.is_file():
        pytest.skip("needs NiiVue: `make page`")
    seen = visit("look.mjs", file=str(chest_file), bundle="tiny_ct", language="es",
                 canvas=str(tmp_path), height=1700)  # fmt: skip
    assert seen["states"] == {"start": [], "choice": [], "running": [], "result": []}
    assert (seen["outside"], seen["problems"], seen["answers"]) == ([], [], [])
    assert seen["ready"] == "true"
    assert warm(tmp_path / "marked.png") > 500
    assert warm(tmp_path / "plain.png") == 0  # each label was switched off, by keyboard
    assert "consolidation" in seen["text"]
    assert "Medidas" in seen["text"]


SCREENS = {"desktop": {"width": 1280}, "phone": PHONE, "dark": {**PHONE, "dark": True}}


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
def test_every_state_is_open_to_everybody(visit: Visit, screen: dict[str, Any]) -> None:
    seen = visit("states.mjs", **screen)
    names = [
        "waiting",
        "running",
        "cancelled",
        "series",
        "question",
        "list",
        "study",
        "archive",
        "token",
        "away",
    ]
    assert seen["states"] == {name: [] for name in names}
    assert seen["width"] == screen["width"]
    assert seen["outside"] == []
    assert seen["heard"] == "network, 3 of 8"
    assert seen["wanted"]["options"] == {"series": "1.2.3"}
    assert seen["chosen"] == "tiny_ct"  # the only one that fits
    study = {"image": "f123456789abcdeff123456789abcdef", "bundle": "tiny_ct", "options": {}}
    assert seen["study"] == study
    assert seen["sent"] == [["", "Año 1.png", "of Año 1.png"], ["", "b.png", "of b.png"]]
    assert seen["cancelled"] == "POST"
    assert seen["kept"]
    reached = [each["name"] for each in seen["focus"]]
    assert reached[:5] == [
        "Skip to the content", "medvol", "Language", "Choose files", "Choose a folder of slices",
    ]  # fmt: skip
    assert {"chest.zip", "Cancel chest.zip", "Delete chest.zip"} <= set(reached)
    assert all(each["seen"] for each in seen["focus"])


def test_a_folder_of_slices_is_one_volume_also_without_niivue(
    visit: Visit, service: Service, tmp_path: Path
) -> None:
    chest = tiny_chest(noise_hu=5)
    stored = np.clip(np.round(chest.ct) + 1024, 0, 4095).astype(np.uint16)
    folder = tmp_path / "chest"
    write(folder, ct_series(stored.transpose(2, 1, 0), PixelSpacing=[2, 2]))
    saved = tmp_path / "saved.zip"
    seen = visit("folder.mjs", folder=str(folder), bundle="tiny_ct", saved=str(saved))
    assert seen["states"] == {"absent": []}
    assert seen["outside"] == []
    assert "The viewer is missing" in seen["text"]
    assert seen["pictures"][0] > 500  # the overlay is there without it
    answer = load_bundle(service.bundles["tiny_ct"].folder).predict(folder)
    for row in answer.measurements:
        assert f"{row.name}\t{ml_text(row.volume_ml)}\t" in seen["text"]
    with zipfile.ZipFile(saved) as archive:
        assert archive.testzip() is None
        record = json.loads(archive.read("run.json"))
        assert {*record["files"], "run.json"} == set(archive.namelist())


TOKEN = "sesame, open the door"


def test_a_token_is_asked_for_once(
    visit: Visit, settings: Settings, radiograph: Path, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDVOL_HOME", str(settings.folder.parent / "home"))
        service = Service(replace(settings, folder=tmp_path / "state", token=TOKEN))
        try:
            with serving(create_app(service)) as url:
                seen = visit("token.mjs", url=url, token=TOKEN, file=str(radiograph),
                             bundle="tiny_xray")  # fmt: skip
        finally:
            service.close()
    assert seen["states"] == {"result": []}
    assert seen["width"] > 100
    assert TOKEN not in str(seen["kept"])  # no script of the page could read it
    assert {answer.split()[0] for answer in seen["answers"]} == {"401"}
