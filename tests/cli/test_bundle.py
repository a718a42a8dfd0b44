# SPDX-License-Identifier: Apache-2.0
"""The command `medvol bundle`: what it prints, and its exit status."""

import json
from pathlib import Path

import pytest

from medvol.bundle.find import shipped_bundles
from medvol.cli import main


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDVOL_BUNDLES", str(tmp_path / "own"))
    return tmp_path / "own"


def test_list_names_every_bundle_and_where_ones_own_lie(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "new", "mine", "--from", "covid_ct_lesion_3d"]) == 0
    assert "medvol train mine --data DATALIST --install" in capsys.readouterr().out
    assert main(["bundle", "list"]) == 0
    heads, *table, _, last = capsys.readouterr().out.splitlines()
    assert heads.split() == ["bundle", "version", "from", "images", "labels", "figures"]
    assert [line.split()[0] for line in table] == [*shipped_bundles(), "mine"]
    assert table[-1].endswith("not trained yet")
    assert table[-1].split()[1] == "0.0.1"
    assert last == f"Your own bundles lie in {own}"


def test_explain_prints_and_refuses_what_is_not_there(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "explain", "chest_xray_covid"]) == 0
    assert "no_covid" in capsys.readouterr().out
    assert main(["bundle", "explain", str(own)]) == 2
    assert "E_BUNDLE" in capsys.readouterr().err


def test_control_characters_of_a_bundle_reach_no_terminal(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "new", "mine", "--from", "chest_xray_pneumonia"]) == 0
    path = own / "mine" / "configs" / "metadata.json"
    metadata = json.loads(path.read_text())
    path.write_text(json.dumps({**metadata, "intended_use": "none\x1b[2J\u202e"}))
    _ = capsys.readouterr()
    assert main(["bundle", "explain", "mine"]) == 0
    said = capsys.readouterr().out
    assert "none\\x1b[2J\\u202e" in said
    assert not {"\x1b", "\u202e"} & set(said)


def test_a_name_of_a_shipped_bundle_is_noted(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note = "covid_ct_lesion_3d now names this bundle, no longer the shipped one"
    assert main(["bundle", "new", "mine", "--from", "covid_ct_lesion_3d"]) == 0
    assert note not in capsys.readouterr().out
    assert main(["bundle", "new", "covid_ct_lesion_3d", "--from", "covid_ct_lesion_3d"]) == 0
    assert note in capsys.readouterr().out
    assert (own / "covid_ct_lesion_3d").is_dir()


def test_build_writes_what_differs_and_check_only_says_so(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["bundle", "new", "mine", "--from", "covid_ct_lesion_3d"])
    capsys.readouterr()
    path = own / "mine" / "configs" / "train.json"
    train, source = json.loads(path.read_text()), json.loads((own / "mine/source.json").read_text())
    source["train"]["epochs"] = 98
    (own / "mine" / "source.json").write_text(json.dumps(source))
    assert main(["bundle", "build", "mine", "--check"]) == 1
    assert capsys.readouterr().out == f"{path} differs from its source\n"
    assert json.loads(path.read_text()) == train
    assert main(["bundle", "build", "mine"]) == 0
    assert capsys.readouterr().out == f"{path} written\n"
    assert json.loads(path.read_text()) == {**train, "epochs": 98}
    assert main(["bundle", "build", "--check"]) == 0


def test_build_does_not_replace_a_config_that_was_changed_by_hand(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["bundle", "new", "mine", "--from", "covid_ct_lesion_3d"])
    path = own / "mine" / "configs" / "train.json"
    built = path.read_text()
    path.write_text(json.dumps({**json.loads(built), "epochs": 99}))
    assert main(["bundle", "build", "mine"]) == 2
    assert f"E_OUTPUT {path}: it would be replaced, but was changed" in capsys.readouterr().err
    assert json.loads(path.read_text())["epochs"] == 99
    path.rename(path.with_name("kept.json"))
    assert main(["bundle", "build", "mine"]) == 0
    assert path.read_text() == built


def test_check_says_nothing_is_wrong_or_what_is(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "check", "covid_ct_lesion_3d", "--no-run"]) == 0
    assert capsys.readouterr().out.endswith("covid_ct_lesion_3d: nothing is wrong\n")
    main(["bundle", "new", "mine", "--from", "covid_ct_lesion_3d"])
    capsys.readouterr()
    assert main(["bundle", "check", "mine", "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["level"], found["file"], found["key"]) == ("error", "models/model.pt", "")
    assert main(["bundle", "check", str(own / "nothing")]) == 2
    assert "there is no such bundle and no such folder" in capsys.readouterr().err


def test_a_note_alone_is_not_a_failure(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["bundle", "new", "mine", "--from", "covid_ct_lesion_3d"])
    (own / "mine" / "models").mkdir()
    (own / "mine" / "models" / "model.pt").touch()
    (own / "mine" / "docs" / "data_license.txt").unlink()
    capsys.readouterr()
    assert main(["bundle", "check", "mine", "--no-run"]) == 0
    assert capsys.readouterr().out.startswith("note docs/data_license.txt: the file is missing.")
