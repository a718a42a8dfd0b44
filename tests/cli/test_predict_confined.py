# SPDX-License-Identifier: Apache-2.0
"""`medvol predict` with bundles that carry code: real processes, and what their code may not do."""

import json
import os
import re
import signal
import socket
from pathlib import Path

import pytest
from odd_bundle import CHEST, MARK_HU, odd_bundle
from phantoms import save_nifti
from tiny_bundle import tiny_bundle
from trusted import trusted

from medvol.audit.verdict import Audit, Item, Level
from medvol.cli import main
from medvol.engine import child

RealChild = child.Child  # before the fixture of all tests puts another in its place
TRIES = """
import os, signal, socket, sys
from pathlib import Path

def count():
    while True:
        yield "x" * (1 << 24)

def bomb():
    while True:
        os.fork()

def attempt(name):
    {
        "connect": lambda: socket.create_connection(("127.0.0.1", PORT), timeout=2),
        "write": lambda: Path(MARKER).write_text("x"),
        "read": lambda: Path(SECRET).read_text(),
        "overwrite": lambda: Path(OTHER).write_text("x"),
        "exit": lambda: os._exit(0),
        "end": lambda: sys.exit(0),
        "loop": lambda: 9**9**9,
        "eat": lambda: list(count()),
        "bomb": bomb,
        "run": lambda: os.spawnl(os.P_WAIT, "/bin/sh", "sh", "-c", f"touch {MARKER}"),
        "parent": lambda: os.kill(os.getppid(), signal.SIGTERM),
        "token": lambda: 1 / len(os.environ.get("HF_TOKEN", "")),
    }[name]()
"""
# name of an image -> what its refusal says
EXPECTED = {
    **dict.fromkeys(("connect", "bomb", "run", "parent"), r"E_BUNDLE .*Operation not permitted"),
    **dict.fromkeys(("write", "read", "overwrite"), r"E_BUNDLE .*Permission denied"),
    "token": "E_BUNDLE .*division by zero",
    "end": "E_BUNDLE its preprocessing failed: 0",
    "exit": "E_FAILED .*ended with status 0",
    "loop": "E_FAILED .*it took longer than 60 s",
    "eat": "E_TOO_BIG .*it took more than 3.0 GiB of memory",
}


@pytest.mark.slow
def test_each_attack_fails_one_case_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "Child", RealChild)
    monkeypatch.setattr(child, "available_bytes", lambda: 3 << 30)
    monkeypatch.setenv("HF_TOKEN", "secret")
    marker, secret, out = tmp_path / "marker", tmp_path / "secret", tmp_path / "out"
    secret.write_text("secret")
    (tmp_path / "in").mkdir()
    other = out / "notes.txt"  # of the user's, beside the results
    out.mkdir()
    other.write_text("mine")
    place = tmp_path / "in"
    for number, name in enumerate(["a", *EXPECTED, "z"]):
        ct = CHEST.ct.copy()
        if name in EXPECTED:
            ct[0, 0, 0], ct[0, 0, 1] = MARK_HU, number
        save_nifti(place / f"{number:02}_{name}.nii.gz", ct, CHEST.affine)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        names = ["", *EXPECTED]
        missed = Audit((Item(Level.B, "script", "scripts/odd.py", "", "imports os", "code"),))
        monkeypatch.setattr("medvol.audit.audit.audit", lambda _: missed)  # no audit finds all
        does = f"tries.attempt({names}[int(data['image'].flatten()[1])])"
        bundle = odd_bundle(tmp_path / "bundle", does)
        given = {"PORT": port, "MARKER": str(marker), "SECRET": str(secret), "OTHER": str(other)}
        lines = "".join(f"{name} = {value!r}\n" for name, value in given.items())
        (bundle / "scripts" / "tries.py").write_text(lines + TRIES)
        path = bundle / "scripts" / "odd.py"
        path.write_text(f"from scripts import tries\n{path.read_text()}")
        trusted(bundle)
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            words = ["predict", str(place), "--bundle", str(bundle), "-o", str(out), "--json"]
            assert main([*words, "--format", "nii", "--time-limit", "60"]) == 2
        finally:
            signal.signal(signal.SIGTERM, before)
    said = json.loads(capsys.readouterr().out)
    if said["confinement"]["not_enforced"]:
        pytest.skip(f"this system enforces less: {said['confinement']}")
    states = {case["case"].partition("_")[2]: case for case in said["cases"]}
    assert [states[name]["state"] for name in "az"] == ["predicted", "predicted"]
    refused = {name: states[name]["refusal"] for name in EXPECTED}
    assert [
        (name, words_, found)
        for name, words_ in EXPECTED.items()
        if not re.match(words_, found := f"{refused[name]['code']} {refused[name]['reason']}")
    ] == []
    assert not marker.exists()
    assert other.read_text() == "mine"
    record = json.loads((out / "00_a" / "run.json").read_text())
    assert record["confinement"] == said["confinement"]
    assert {x.name for x in out.iterdir() if x.is_dir()} == {"00_a", "13_z"}


@pytest.mark.slow
def test_the_mask_is_the_same_bit_by_bit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = odd_bundle(tmp_path / "bundle", "None")
    save_nifti(tmp_path / "a.nii.gz", CHEST.ct, CHEST.affine)
    for name in ("inside", "outside"):
        if name == "inside":
            monkeypatch.setattr(child, "Child", RealChild)
        else:
            monkeypatch.undo()
        words = ["predict", str(tmp_path / "a.nii.gz"), "--bundle", str(bundle)]
        assert main([*words, "-o", str(tmp_path / name), "--format", "nii", "png"]) == 0
    assert "carries code, so it runs confined: " in capsys.readouterr().err
    for file in ("segmentation.nii.gz", "overlay.png"):
        inside, outside = (tmp_path / x / "a" / file for x in ("inside", "outside"))
        assert inside.read_bytes() == outside.read_bytes()


def test_a_declarative_bundle_is_not_confined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_nifti(tmp_path / "a.nii.gz", CHEST.ct, CHEST.affine)
    words = ["predict", str(tmp_path / "a.nii.gz"), "--bundle", str(tiny_bundle(tmp_path / "b"))]
    assert main([*words, "-o", str(tmp_path / "out"), "--format", "nii", "--json"]) == 0
    said = capsys.readouterr()
    assert "confine" not in said.out + said.err
    assert os.listdir(tmp_path / "out") == ["a"]
