# SPDX-License-Identifier: Apache-2.0
"""Finding a bundle by name or folder, and saying what was meant when there is none."""

import os
from pathlib import Path

import pytest

from medvol.bundle import find, places
from medvol.bundle.find import find_bundle, shipped_bundles
from medvol.errors import InputError


def make_bundle(folder: Path) -> Path:
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "metadata.json").write_text("{}")
    return folder


def refusal(name: str | os.PathLike[str]) -> InputError:
    with pytest.raises(InputError) as caught:
        find_bundle(name)
    assert caught.value.code == "E_BUNDLE"
    assert caught.value.path == os.fspath(name)
    return caught.value


def test_shipped_bundles_have_names_and_folders() -> None:
    found = shipped_bundles()
    assert "covid_ct_lesion_3d" in found
    for name, folder in found.items():
        assert folder.name == name
        assert (folder / "configs" / "metadata.json").is_file()


def test_by_name_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_bundle("covid_ct_lesion_3d") == shipped_bundles()["covid_ct_lesion_3d"]


def test_a_bundle_in_this_folder_comes_before_a_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make_bundle(tmp_path / "covid_ct_lesion_3d")
    monkeypatch.chdir(tmp_path)
    assert find_bundle("covid_ct_lesion_3d") == mine.resolve()
    (mine / "configs" / "metadata.json").unlink()  # a folder of results, say: no bundle
    assert find_bundle("covid_ct_lesion_3d") == shipped_bundles()["covid_ct_lesion_3d"]


def test_by_folder_absolute_and_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = make_bundle(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert find_bundle(mine) == find_bundle("mine") == find_bundle("./mine/") == mine.resolve()


def test_bundles_of_a_wheel_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "medvol"
    in_wheel = make_bundle(package / "_bundles" / "lungs")
    make_bundle(tmp_path / "site" / "bundles" / "others")
    monkeypatch.setattr(find, "_PACKAGE", package)
    assert shipped_bundles() == {"lungs": in_wheel}


def test_an_installation_without_bundles_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "_PACKAGE", tmp_path / "medvol")
    assert shipped_bundles() == {}
    assert "no such bundle" in refusal("covid_ct_lesion_3d").reason


def test_a_slip_of_the_pen_gets_the_name_that_was_meant() -> None:
    assert refusal("covid_lesion_3d").remedy == "Did you mean covid_ct_lesion_3d?"


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("mri_net", "Did you mean brain_mri_tumor?"),
        ("xray_pneumonia", "Did you mean chest_xray_pneumonia?"),
        ("Chest X-Ray", "Did you mean chest_xray_covid?"),
        ("lung_ct", "Bundles for CT are covid_ct_lesion_25d, covid_ct_lesion_3d, covid_ct_slice_"),
    ],
)
def test_a_name_that_speaks_of_a_modality_gets_a_bundle_for_it(name: str, remedy: str) -> None:
    assert refusal(name).remedy.startswith(remedy)


def test_a_bundle_whose_metadata_are_broken_is_passed_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDVOL_BUNDLES", str(tmp_path))
    (make_bundle(tmp_path / "my_ct") / "configs" / "metadata.json").write_text("{")
    assert "my_ct" not in refusal("lung_ct").remedy
    assert refusal("my_c").remedy == "Did you mean my_ct?"


def test_another_word_gets_the_list() -> None:
    assert "covid_ct_lesion_3d" in refusal("zzzz").remedy


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    assert "configs/metadata.json is missing" in refusal(tmp_path).reason


def test_a_packed_bundle_is_named_as_one(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK")
    assert "it is a packed bundle" in refusal(tmp_path / "a.zip").reason
    assert "no such bundle" in refusal(tmp_path / "b.zip").reason


def test_bundles_of_ones_own_are_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDVOL_BUNDLES", str(tmp_path))
    monkeypatch.chdir("/")
    mine, same = make_bundle(tmp_path / "mine"), make_bundle(tmp_path / "covid_ct_lesion_3d")
    assert find_bundle("mine") == mine
    assert find_bundle("covid_ct_lesion_3d") == same
    assert {*find.all_bundles()} == {"mine", *shipped_bundles()}
    assert refusal("mime").remedy == "Did you mean mine?"


@pytest.mark.parametrize(
    ("platform", "variable", "folder"),
    [
        ("linux", "XDG_DATA_HOME", "medvol/bundles"),
        ("win32", "LOCALAPPDATA", "medvol/bundles"),
        ("darwin", "HOME", "Library/Application Support/medvol/bundles"),
    ],
)
def test_without_the_variable_they_lie_in_the_systems_data_folder(
    platform: str, variable: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEDVOL_BUNDLES", raising=False)
    monkeypatch.delenv("MEDVOL_HOME", raising=False)
    monkeypatch.setattr(places.sys, "platform", platform)
    monkeypatch.setenv(variable, str(tmp_path))
    assert places.user_folder() == tmp_path / folder


def test_a_part_that_is_not_there_gets_the_name_that_was_meant(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="E_BUNDLE") as caught:
        find.find_part("lung_cd", tmp_path / "b")
    assert caught.value.remedy == "Did you mean lung_ct?"
