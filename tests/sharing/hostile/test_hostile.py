# SPDX-License-Identifier: Apache-2.0
"""Nothing of a hostile bundle runs in any command, no file appears, and each is said why."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from phantoms import save_nifti, tiny_chest
from sharing.hostile import in_disguise, in_expressions, in_files, in_forms, in_targets
from sharing.hostile.kit import NAME, Hostile, sealed, zipped

import medvol
from medvol.audit.audit import audit
from medvol.audit.verdict import Level
from medvol.cli import main
from medvol.errors import InputError

CASES = {
    **in_expressions.CASES, **in_targets.CASES, **in_disguise.CASES, **in_forms.CASES,
    **in_files.CASES,
}  # fmt: skip
LINKS = {name for name in CASES if re.search("link|pipe", name)}  # what no archive holds
CHEST = tiny_chest(noise_hu=5)
COMMANDS = {
    "inspect": "bundle inspect BUNDLE",
    "inspect, packed": "bundle inspect ZIP",
    "check": "bundle check BUNDLE",
    "receive": "bundle receive ZIP",
    "pack": "bundle pack BUNDLE -o PACKED",
    "predict": "predict IMAGE --bundle BUNDLE --output OUT",
    "predict, packed": "predict IMAGE --bundle ZIP --output OUT",
    "explain": "bundle explain BUNDLE",
    "build": "bundle build BUNDLE",
    "new": "bundle new OWN --from BUNDLE",
    "train": "train BUNDLE --data DATA --output OUT",
    "an image, inspected": "inspect IMAGE --bundle BUNDLE",
    "evaluate": "evaluate BUNDLE --data DATA --output OUT",
    "gate-cost": "gate-cost BUNDLE --data DATA --output OUT",
    "tune": "tune BUNDLE --space SPACE --data DATA --output OUT",
    "compare": "compare SPACE --bundle BUNDLE --data DATA --output OUT",
    "export": "bundle export BUNDLE --to torchscript -o OUT",
    "push": "bundle push BUNDLE --to SHELF",
    "push, packed": "bundle push ZIP --to SHELF",
    "pull": f"bundle pull {NAME} --from SHELF",
}
LONG = {"train", "evaluate", "gate-cost", "tune", "compare"}  # where a bundle may run, it does
# files of medvol's own home: what is known of bundles, and locks; all else goes with the command
KNOWN = {
    f"{name}.json{lock}" for name in ("accepted", "received", "keys") for lock in ("", ".lock")
}
QUICK = [  # the others are slow, and so are those that run
    name for number, (name, case) in enumerate(CASES.items())
    if number % 48 == 0 and case.level != "A"
]  # fmt: skip


class Lab:
    """A folder with a hostile bundle, a file of it, an image, and a home of medvol's."""

    def __init__(self, root: Path, hostile: Hostile, *, packed: bool) -> None:
        self.mark = root / "mark"
        self.places = {
            "BUNDLE": hostile.write(root / "in", self.mark), "IMAGE": root / "ct" / "chest.nii.gz",
            "ZIP": root / f"{NAME}.zip", "OUT": root / "out", "PACKED": root / "packed.zip",
            "OWN": root / "own", "DATA": root / "data.json", "SPACE": root / "space.json",
            "SHELF": root / "shelf",
        }  # fmt: skip
        save_nifti(self.places["IMAGE"], CHEST.ct, CHEST.affine)
        labels = save_nifti(root / "ct" / "labels.nii.gz", CHEST.labels, CHEST.affine)
        item = {"image": str(self.places["IMAGE"]), "label": str(labels), "fold": 0}
        self.places["DATA"].write_text(json.dumps({"name": "one", "training": [item]}))
        self.places["SPACE"].write_text('{"learning_rate": [0.1, 0.2]}')
        (self.places["SHELF"] / NAME).mkdir(parents=True)
        if packed:
            zipped(self.places["BUNDLE"], self.places["ZIP"])
            sealed(self.places["BUNDLE"], self.places["SHELF"] / NAME)
        self.root = root
        self.before = self.files()

    def files(self) -> dict[str, int]:
        """What lies in the folder but medvol's home, and when it was changed."""
        found = {}
        for above, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if (above, name) != (str(self.root), "home")]
            for name in names:
                path = Path(above, name)
                found[str(path.relative_to(self.root))] = path.lstat().st_mtime_ns
        return found

    def kept(self) -> set[str]:
        """Files in medvol's home."""
        home = self.root / "home"
        return {x.relative_to(home).as_posix() for x in home.rglob("*") if not x.is_dir()}

    def made(self) -> set[str]:
        """Files that came or changed, but for those that a command was asked to write."""
        asked = ("out/", "own/", "packed.zip", f"shelf/{NAME}/")
        return {name for name, _ in set(self.files().items()) ^ set(self.before.items())
                if not name.startswith(asked)}  # fmt: skip

    def run(self, command: str) -> int:
        """The exit status of a command."""
        words = [str(self.places.get(word, word)) for word in COMMANDS[command].split()]
        return main(words)


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for a lab; the process is in an empty one."""

    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    return tmp_path


@pytest.mark.parametrize("name", CASES)
def test_an_audit_says_what_it_is_and_python_does_not_run_it(name: str, apart: Path) -> None:
    case = CASES[name]
    lab = Lab(apart, case, packed=False)
    found = audit(lab.places["BUNDLE"])
    assert found.level in ({Level.B, Level.C} if not case.level else {Level(case.level)})
    if case.level != "A":
        said = [f"{item.text}: {item.reason}" for item in found.of_level(found.level)]
        assert any(re.search(case.reason, text) for text in said), said
        with pytest.raises(InputError) as caught:
            medvol.load_bundle(lab.places["BUNDLE"])
        assert caught.value.code in ("E_UNTRUSTED", "E_BUNDLE")
    assert lab.files() == lab.before


def check_commands(name: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command on one case: no mark, no file but in medvol's home, a line that says why."""
    case = CASES[name]
    lab = Lab(root, case, packed=name not in LINKS)
    for command in COMMANDS:
        if name in LINKS and ("ZIP" in COMMANDS[command] or command == "pull"):
            continue
        if case.level == "A" and command in LONG:
            continue
        status = lab.run(command)
        said = capsys.readouterr()
        assert not lab.mark.exists(), command
        assert not lab.made(), command
        assert case.level == "A" or lab.files() == lab.before, command
        received = case.level == "A" and command == "pull"
        assert received or lab.kept() <= KNOWN, command
        assert "Traceback" not in said.out + said.err
        if command == "inspect, packed" and status == 2:  # nothing of the archive is unpacked
            assert said.err.startswith("medvol: E_PATH"), said.err
        elif command.startswith("inspect"):
            assert status == int("\n  C " in f"\n{said.out}")
            assert case.level == "A" or re.search(case.reason, said.out)
        elif case.level != "A" and command not in ("check", "build"):
            assert status == 2, (command, said)
            refusals = [x for x in said.err.splitlines() if x.startswith("medvol: E_")]
            assert refusals, said.err
            if case.level == "C" and "E_UNTRUSTED" not in refusals[0]:
                assert re.search("E_BUNDLE|E_PATH|E_FORMAT", refusals[0])


@pytest.mark.parametrize("name", QUICK)
def test_no_command_runs_it(name: str, apart: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_commands(name, apart, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CASES.keys() - QUICK))
def test_no_command_runs_any(name: str, apart: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_commands(name, apart, capsys)
