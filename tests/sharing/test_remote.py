# SPDX-License-Identifier: Apache-2.0
"""Stores of packed bundles: a shared folder, and a stand-in for the Hugging Face hub."""

import json
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from packed import bundle_files, digest_of, pack

from medvol.cli import main
from medvol.errors import InputError
from medvol.sharing import shelf
from medvol.sharing.keys import make_key, read_key
from medvol.sharing.remote import pull, push, versions
from medvol.sharing.signing import sign

REPO = "hf:lab/lungs"
TOKEN = "hf_secretsecret"


class Hub:
    """What MONAI and medvol use of `huggingface_hub`: repositories are folders, a commit a copy.

    Args:
        root: where the repositories lie.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.private = root, dict[str, bool]()
        self.down = False

    def HfApi(self, **_: Any) -> "Hub":
        return self

    def _at(self, repo_id: str) -> Path:
        if self.down:
            raise ConnectionError(f"no route with {TOKEN}")
        return self.root / repo_id

    def repo_exists(self, *, repo_id: str) -> bool:
        return self._at(repo_id).is_dir()

    def create_repo(self, *, repo_id: str, private: bool, exist_ok: bool) -> None:
        (self._at(repo_id) / "main").mkdir(parents=True, exist_ok=exist_ok)
        (self._at(repo_id) / "main" / ".gitattributes").touch()
        self.private[repo_id] = private

    def upload_folder(self, *, repo_id: str, folder_path: str, delete_patterns: str) -> str:
        assert delete_patterns == "*"
        main = self._at(repo_id) / "main"
        shutil.rmtree(main)
        shutil.copytree(folder_path, main)
        (main / ".gitattributes").touch()
        return repo_id

    def create_tag(self, *, repo_id: str, tag: str, exist_ok: bool) -> None:
        if not ((target := self._at(repo_id) / tag).exists() and exist_ok):
            shutil.copytree(self._at(repo_id) / "main", target)

    def list_repo_refs(self, *, repo_id: str) -> SimpleNamespace:
        found = sorted(x.name for x in self._at(repo_id).iterdir() if x.name != "main")
        return SimpleNamespace(tags=[SimpleNamespace(name=name) for name in found])

    def snapshot_download(self, *, repo_id: str, revision: str, local_dir: str) -> None:
        shutil.copytree(self._at(repo_id) / revision, local_dir)
        (Path(local_dir) / ".cache").mkdir()
        (Path(local_dir) / ".cache" / "lock").touch()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(tmp_path / "hub")
    monkeypatch.setitem(sys.modules, "huggingface_hub", made)
    monkeypatch.setattr("monai.bundle.scripts.huggingface_hub", made)
    return made


@pytest.fixture
def drive(tmp_path: Path) -> str:
    (tmp_path / "drive").mkdir()
    return str(tmp_path / "drive")


@pytest.fixture(params=["drive", "hub"])
def place(request: pytest.FixtureRequest) -> str:
    found = request.getfixturevalue(request.param)
    return found if isinstance(found, str) else REPO


def made(path: Path, version: str = "1.0.0", **more: bytes) -> Path:
    files = bundle_files(version, **{"docs/README.md": b"# Lungs\n", **more})
    return pack(path, files)


def test_what_is_pushed_is_listed_and_received(place: str, tmp_path: Path) -> None:
    one = made(tmp_path / "one.zip")
    for path in (made(tmp_path / "ten.zip", "1.10.0"), made(tmp_path / "two.zip", "1.2.0"), one):
        pushed = push(path, place)
        assert (pushed.name, pushed.short) == ("lungs", digest_of(path)[:12])
    assert [x.version for x in versions("lungs", place)] == ["1.0.0", "1.2.0", "1.10.0"]
    received = pull("lungs@1.0.0", place)
    assert (received.bundle.version, received.bundle.digest) == ("1.0.0", digest_of(one))
    assert pull("lungs", place).bundle.version == "1.10.0"
    with pytest.raises(InputError, match=r"E_BUNDLE .* lungs has no version 3 there\. There are"):
        pull("lungs@3", place)


def test_a_version_is_never_replaced_by_another(place: str, tmp_path: Path) -> None:
    one = made(tmp_path / "one.zip")
    push(one, place)
    other = made(tmp_path / "other.zip", **{"models/model.pt": b"other"})
    with pytest.raises(InputError, match=r"E_OUTPUT .* lungs 1\.0\.0 is there already, with ano"):
        push(other, place)
    assert pull("lungs", place).bundle.digest == digest_of(one)


def test_names_that_are_paths_are_refused(place: str) -> None:
    for name in ("../lungs", "a/b", "", ".lungs"):
        with pytest.raises(ValueError, match="is not the name of a bundle"):
            versions(name, place)


def test_the_same_version_twice_is_one_file_and_a_signature_stays(
    drive: str, tmp_path: Path
) -> None:
    unsigned = made(tmp_path / "lungs.zip")
    signed = Path(shutil.copy(unsigned, tmp_path / "signed.zip"))
    make_key(tmp_path / "lab.key")
    sign(signed, read_key(tmp_path / "lab.key", ask=lambda: None))
    for path in (unsigned, signed, unsigned):
        push(path, drive)
    (row,) = versions("lungs", drive)
    assert Path(row.place).read_bytes() == signed.read_bytes()
    with pytest.raises(InputError, match=r"signed by a key that is not trusted here") as refused:
        pull("lungs", drive)
    assert refused.value.path == row.place
    assert f"medvol bundle pull lungs@1.0.0 --from {row.place} --accept" in refused.value.remedy
    assert pull("lungs", drive, accepted=digest_of(unsigned)).bundle.accepted


def test_of_two_that_push_at_once_one_is_refused(drive: str, tmp_path: Path) -> None:
    paths = [made(tmp_path / f"{x}.zip", **{"models/model.pt": x.encode()}) for x in "abcd"]

    def code(path: Path) -> str:
        try:
            return push(path, drive).short
        except InputError as error:
            return error.code

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(code, paths))
    there = [x.short for x in versions("lungs", drive)]
    assert sorted(said) == sorted([*there, *["E_OUTPUT"] * 3])


def test_what_is_damaged_is_not_put_there(drive: str, tmp_path: Path) -> None:
    path = made(tmp_path / "lungs.zip")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError):
        push(path, drive)
    assert [*Path(drive).iterdir()] == []


def test_a_copy_that_is_cut_on_the_way_never_appears(
    drive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:100])

    monkeypatch.setattr(shelf.shutil, "copyfile", cut)
    with pytest.raises(InputError):
        push(made(tmp_path / "lungs.zip"), drive)
    assert [x for x in Path(drive).rglob("*") if x.suffix != ".lock" and x.is_file()] == []
    assert versions("lungs", drive) == []


def test_what_lies_under_a_wrong_name_is_not_received(drive: str, tmp_path: Path) -> None:
    other = pack(tmp_path / "other.zip", bundle_files("1.0.0"), name="heads")
    row = push(made(tmp_path / "lungs.zip"), drive)
    shutil.copy(other, row.place)
    with pytest.raises(InputError, match=r"E_UNTRUSTED .*it holds heads 1\.0\.0"):
        pull("lungs", drive)
    assert not (tmp_path / "home" / "received" / "heads").exists()


def test_a_folder_that_is_not_connected_is_said(tmp_path: Path) -> None:
    for act in (lambda x: push(made(tmp_path / "a.zip"), x), lambda x: versions("lungs", x)):
        with pytest.raises(InputError, match=r"E_PATH .*no such file or folder"):
            act(str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_a_half_written_file_and_others_are_not_listed(drive: str, tmp_path: Path) -> None:
    row = push(made(tmp_path / "lungs.zip"), drive)
    for name in (".medvol-1-abcdef-x.zip", "lungs-2.0.0.zip", "notes.txt"):
        (Path(row.place).parent / name).touch()
    assert versions("lungs", drive) == [row]
    shutil.copy(row.place, row.place.replace(row.short, "0" * 12))
    with pytest.raises(InputError, match=r"lungs 1\.0\.0 lies there with two contents"):
        pull("lungs", drive)


def test_on_the_hub_it_is_private_and_what_others_add_is_left_behind(
    hub: Hub, tmp_path: Path
) -> None:
    push(made(tmp_path / "lungs.zip"), REPO)
    stored = hub.root / "lab" / "lungs" / "1.0.0"
    assert hub.private == {"lab/lungs": True}
    assert (stored / "README.md").read_text().startswith("---\ntags:\n- monai")  # MONAI's card
    folder = pull("lungs", REPO).bundle.folder
    assert sorted(x.name for x in folder.iterdir()) == [
        "LICENSE", "configs", "docs", "manifest.json"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: (x / "LICENSE").write_text("other"), "E_UNTRUSTED"),
        (lambda x: (x / "LICENSE").unlink(), "E_UNTRUSTED"),
        (lambda x: (x / "manifest.json").unlink(), r"E_BUNDLE .*it has no manifest"),
    ],
)
def test_what_was_changed_on_the_hub_is_refused(
    change: Callable[[Path], object], words: str, hub: Hub, tmp_path: Path
) -> None:
    push(made(tmp_path / "lungs.zip"), REPO)
    change(hub.root / "lab" / "lungs" / "1.0.0")
    with pytest.raises(InputError, match=words):
        pull("lungs", REPO)
    assert not (tmp_path / "home" / "received" / "lungs").exists()


def test_what_the_hub_says_is_one_line_without_a_token(hub: Hub, tmp_path: Path) -> None:
    hub.down = True
    path = made(tmp_path / "lungs.zip")
    for act in (lambda: push(path, REPO), lambda: versions("lungs", REPO)):
        with pytest.raises(InputError, match=r"E_FAILED hf:lab/lungs: .*ConnectionError") as said:
            act()
        assert TOKEN not in str(said.value)
    with pytest.raises(ValueError, match="give hf:ORGANISATION/NAME"):
        versions("lungs", "hf:lungs")
    card = made(tmp_path / "card.zip", **{"README.md": b"mine"})
    with pytest.raises(InputError, match=r"it has a README\.md at its root"):
        push(card, REPO)


def test_without_the_hubs_package_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert main(["bundle", "versions", "lungs", "--from", REPO]) == 2
    assert "pip install 'medvol[hub]'" in capsys.readouterr().err


def test_the_commands(drive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = made(tmp_path / "lungs.zip")
    short = digest_of(path)[:12]
    assert main(["bundle", "push", str(path), "--to", drive]) == 0
    where = f"{drive}/lungs/lungs-1.0.0-{short}.zip"
    assert capsys.readouterr().out == f"lungs 1.0.0 ({short}) -> {where}\n"
    assert main(["bundle", "versions", "lungs", "--from", drive]) == 0
    assert capsys.readouterr().out.split() == ["1.0.0", short, where]
    assert main(["bundle", "versions", "lungs", "--from", drive, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["digest"] == short
    assert main(["bundle", "versions", "heads", "--from", drive]) == 0
    assert capsys.readouterr().out == f"{drive} has no bundle named heads\n"
    assert main(["bundle", "pull", "lungs", "--from", drive]) == 0
    assert capsys.readouterr().out.startswith("lungs 1.0.0 received: level A, signed by nobody\n")


def test_a_folder_with_code_is_packed_by_the_users_word(
    drive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in" / "lungs"
    for name, content in {**bundle_files(), "scripts/mine.py": b"import os\n"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    packed = SimpleNamespace(path=made(tmp_path / "lungs.zip"))
    monkeypatch.setattr("medvol.sharing.pack.pack", lambda *_: packed)
    assert main(["bundle", "push", str(folder), "--to", drive]) == 2
    assert "give --trust-this-bundle" in capsys.readouterr().err
    assert versions("lungs", drive) == []
    assert main(["bundle", "push", str(folder), "--to", drive, "--trust-this-bundle"]) == 0
    assert [row.version for row in versions("lungs", drive)] == ["1.0.0"]
