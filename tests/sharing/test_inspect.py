# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle inspect` says what a bundle is and would do, and does nothing of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sharing.hostile.kit import NAME, Hostile, zipped
from tiny_bundle import tiny_bundle

from medvol.bundle.find import shipped_bundles
from medvol.cli import main
from medvol.manifest import manifest_of

LOOKING = """
import sys
from pathlib import Path

allowed, *bundles = sys.argv[1:]
seen = []

def hook(event, args):
    if event == "open" and isinstance(args[0], str):
        path, mode, flags = args
        writes = flags & 3 or (isinstance(mode, str) and set(mode) & set("wax+"))
        if writes and not Path(path).is_relative_to(allowed) and path != "/dev/null":
            seen.append(f"{event} {path} {mode}")
    elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork",
                   "socket.connect", "socket.bind", "socket.getaddrinfo", "urllib.Request",
                   "pickle.find_class", "ctypes.dlopen", "pty.spawn"):
        seen.append(f"{event} {args}")
    elif event == "exec" and "gift" in getattr(args[0], "co_filename", ""):
        seen.append(f"{event} {args[0].co_filename}")

import ignite, monai.bundle, torch  # which do what they like when they are imported
import medvol.sharing.inspect
from medvol.cli import main
sys.addaudithook(hook)
status = [main(["bundle", "inspect", bundle, "--all"]) for bundle in bundles]
modules = [n for n in sys.modules if n.partition(".")[0] in ("scripts", "net", "hubconf")]
print("SEEN", seen, modules, status)
"""


def hostile(folder: Path, mark: Path) -> None:
    (folder / "scripts").mkdir()
    for name in ("__init__", "net"):
        (folder / "scripts" / f"{name}.py").write_text(f"open({str(mark)!r}, 'w')  # HOSTILE\n")
    path = folder / "configs" / "inference.json"
    config = json.loads(path.read_text())
    config["network_def"] = {"_target_": "scripts.net.Net"}
    config["spare"] = "$__import__('os').system('true')"
    path.write_text(json.dumps(config))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_nothing_is_run_written_or_started(tmp_path: Path, home: Path) -> None:
    mark = tmp_path / "mark"
    bundle = Hostile(hostile, "").write(tmp_path / "in", mark)
    packed = zipped(bundle, tmp_path / "gift.zip")
    words = [sys.executable, "-P", "-c", LOOKING, str(home), str(bundle), str(packed)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.splitlines()[-1:] == ["SEEN [] [] [1, 1]"], done.stdout + done.stderr
    assert done.stdout.count("script scripts/net.py: imports nothing") == 2
    assert not mark.exists()
    assert [*(home / "quarantine").iterdir()] == []


def test_a_shipped_bundle_is_declarative(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "inspect", "covid_ct_lesion_3d"]) == 0
    lines = capsys.readouterr().out.splitlines()
    folder = shipped_bundles()["covid_ct_lesion_3d"]
    said = {line[:10].strip(): line[10:] for line in lines if not line.startswith(" ")}
    assert said["bundle"].startswith("covid_ct_lesion_3d ")
    assert said["from"] == f"bundle that came with medvol {folder}"
    assert said["digest"] == manifest_of(folder).digest
    assert said["signature"] == "none"
    assert said["level"].startswith("A: declarative")
    assert next(line for line in lines if line.startswith("licence")).startswith(
        "licence   code: Apache-2.0 (LICENSE)"
    )
    assert "  A weights models/model.pt: PyTorch weights: tensors and containers only" in lines
    assert lines[-1].endswith("; --all lists them")
    main(["bundle", "inspect", "covid_ct_lesion_3d", "--all"])
    every = capsys.readouterr().out.splitlines()
    assert len(every) > len(lines) + 20
    files = {line.split()[-1]: line.split()[1] for line in every if line.startswith("file ")}
    assert files == {name: file.sha256 for name, file in manifest_of(folder).files.items()}
    assert not any("--all" in line for line in every)


def test_the_worst_comes_first_and_the_status_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = Hostile(hostile, "").write(tmp_path / "in", tmp_path / "mark")
    assert main(["bundle", "inspect", str(bundle)]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    levels = [line.split()[0] for line in lines]
    assert levels == sorted(levels, reverse=True)
    assert {"A", "B", "C"} == set(levels)
    assert main(["bundle", "inspect", str(bundle), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["level"], found["sound"]) == (NAME, "C", True)
    assert found["items"][0]["level"] == "C"
    metadata = (bundle / "configs" / "metadata.json").read_bytes()
    assert found["files"]["configs/metadata.json"]["size"] == len(metadata)


def test_a_packed_file_is_named_and_gone(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = zipped(tiny_bundle(tmp_path / NAME), tmp_path / "a.zip")
    assert main(["bundle", "inspect", str(path)]) == 0
    out = capsys.readouterr().out
    assert f"from      packed file {path} (0.0 MB)" in out
    assert "quarantine" not in out
    assert [*(home / "quarantine").iterdir()] == []


def sealed(folder: Path) -> Path:
    """A bundle with its manifest."""
    (folder / "manifest.json").write_bytes(manifest_of(folder).canonical)
    return folder


def test_a_manifest_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = sealed(tiny_bundle(tmp_path / NAME))
    assert main(["bundle", "inspect", str(folder)]) == 0
    assert "manifest  complete; " in capsys.readouterr().out
    with (folder / "models" / "model.pt").open("ab") as file:
        file.write(b"x")
    assert main(["bundle", "inspect", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "manifest  gift: models/model.pt is not what its manifest says." in out
    assert "signature not valid for what lies here" in out
    assert "refused   its manifest or signature is broken" in out


def test_whose_signature_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("cryptography", reason="signatures need cryptography")
    folder = sealed(tiny_bundle(tmp_path / "in" / NAME))
    path, key = zipped(folder, tmp_path / "a.zip"), tmp_path / "lab.key"
    assert main(["bundle", "keygen", "-o", str(key)]) == 0
    assert main(["bundle", "sign", str(path), "--key", str(key)]) == 0
    capsys.readouterr()
    assert main(["bundle", "inspect", str(path)]) == 0
    assert "signature of a key that is not trusted here (" in capsys.readouterr().out
    assert main(["bundle", "trust", "add", "lab", str(key.with_suffix(".pub"))]) == 0
    assert main(["bundle", "inspect", str(path)]) == 0
    assert "signature of lab (" in capsys.readouterr().out
    assert main(["bundle", "trust", "revoke", "lab"]) == 0
    assert main(["bundle", "inspect", str(path)]) == 1
    assert ", revoked)" in capsys.readouterr().out


def test_a_folder_that_cannot_be_read_whole_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_bundle(tmp_path / NAME)
    (folder / "docs").symlink_to("/etc")
    (folder / "LICENSE").symlink_to("/etc/passwd")
    assert main(["bundle", "inspect", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "digest    none" in out
    assert "manifest  LICENSE: a link lies in the bundle." in out
    assert "root:" not in out  # nothing of where the links lead


def test_what_is_no_bundle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.zip").write_bytes(b"Rar!")
    assert main(["bundle", "inspect", str(tmp_path / "a.zip")]) == 2
    assert "it is not a zip archive, but a RAR archive" in capsys.readouterr().err
    assert main(["bundle", "inspect", "covid_ct_lesion_4d"]) == 2
    assert "Did you mean covid_ct_lesion_3d?" in capsys.readouterr().err
