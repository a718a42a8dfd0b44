# SPDX-License-Identifier: Apache-2.0
"""A gate's weights lie apart from the model's, and are found where no config says the place."""

from pathlib import Path

import pytest
from refusals import refused_by

from medvol.inferers.gate_file import PLACE, gate_file


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return made(tmp_path / "bundle", b"gate")


def made(folder: Path, gate: bytes) -> Path:
    for name, content in (("configs/metadata.json", b"{}"), (PLACE, gate)):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(content)
    (folder / "models" / "model.pt").write_bytes(b"model")
    return folder


def test_beside_the_models_weights_it_is_refused(bundle: Path) -> None:
    for name in ("model_gate.pt", "gate.pth"):
        path = bundle / "models" / name
        path.write_bytes(b"gate")
        error = refused_by(lambda path=path: gate_file(path), "E_BUNDLE")
        assert "MONAI Label takes them for those of the model" in error.reason
        assert PLACE in error.remedy
    (bundle / "models" / "model.pt").unlink()
    assert gate_file(path) == path
    trained = bundle / "runs" / "model.pt"
    trained.parent.mkdir()
    trained.write_bytes(b"gate")
    assert gate_file(trained) == trained


def test_without_the_bundles_place_it_is_that_of_the_bundle_on_the_path(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = f"./{PLACE}"
    assert gate_file(relative) == Path(PLACE)
    monkeypatch.syspath_prepend(bundle)
    assert gate_file(relative) == bundle / PLACE
    assert gate_file(bundle.parent / "none" / PLACE) == bundle.parent / "none" / PLACE
    same = made(tmp_path / "same", b"gate")
    monkeypatch.syspath_prepend(same)
    assert gate_file(relative) == same / PLACE
    other = made(tmp_path / "other", b"another gate")
    monkeypatch.syspath_prepend(other)
    error = refused_by(lambda: gate_file(relative), "E_BUNDLE")
    assert "other/models" in error.reason
    assert "bundle_root" in error.remedy
    monkeypatch.chdir(bundle)
    assert gate_file(relative) == Path(PLACE)


def test_in_a_bundle_that_carries_medvol_it_is_that_bundles_own(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (made(tmp_path / "other", b"another gate"), bundle):
        monkeypatch.syspath_prepend(folder)
    carried = tmp_path / "other" / "scripts" / "medvol" / "v0" / "inferers" / "gate_file.py"
    monkeypatch.setattr("medvol.inferers.gate_file.__file__", str(carried))
    assert gate_file(f"./{PLACE}") == tmp_path / "other" / PLACE
