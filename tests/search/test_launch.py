# SPDX-License-Identifier: Apache-2.0
"""A bundle in a process of its own: its words, its threads, its log, its failure."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser
from trusted import trusted

from medvol.search import launch

SHOW = "import os, sys; print(sys.argv[1:], os.environ['OMP_NUM_THREADS'])"


def test_words_threads_and_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "PROGRAM", (sys.executable, "-S", "-c", SHOW))
    bundle, out = tmp_path / "b", tmp_path / "out"
    configs = ["train.json", tmp_path / "own.json"]
    for threads in (3, 4):
        launch.run_bundle(bundle, configs, {"fold": 1, "output_dir": out}, threads=threads)
    files = [str(bundle / "configs" / "train.json"), str(tmp_path / "own.json")]
    words = ["--config_file", str(files), "--bundle_root", f"'{bundle}'", "--fold", "1",
             "--output_dir", f"'{out}'"]  # fmt: skip
    assert (out / "log.txt").read_text() == f"{words} 3\n{words} 4\n"


ODD_NAMES = (
    "scans#2", "20241129", "1e5", "a,b", "None", "True", "two words", "it's", 'a "b"', "影像",
    "[a]", "a=b", "-x", "--x", "\\n", "a@b#c", "#", "'", "(1", "0x1f", "a: b", "\udcff",
)  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_arrives_as_it_is(name: str) -> None:
    """Through the two readers there are: python-fire's, then MONAI's."""
    for path in (Path("/scans") / name, Path("/scans") / name / "datalist.json"):
        received = DefaultParseValue(launch.as_word(path))
        parser = ConfigParser({"dataset_dir": received, "file": "$@dataset_dir + '/x'"})
        assert parser.get_parsed_content("dataset_dir") == str(path)
        assert parser.get_parsed_content("file") == f"{path}/x"
    assert not launch.as_word(Path(name)).startswith("-")


def test_values_of_other_kinds_arrive_as_they_are() -> None:
    for value in (None, True, 3, 1e-5, [1, "a#b"], {"a": "20241129"}, "@chain#size", "$1 + 1"):
        assert DefaultParseValue(launch.as_word(value)) == value


def test_a_failure_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "PROGRAM", (sys.executable, "-S", "-c", "raise SystemExit(3)"))
    with pytest.raises(subprocess.CalledProcessError) as caught:
        launch.run_bundle(tmp_path, [], {"output_dir": tmp_path}, threads=1)
    assert caught.value.returncode == 3


def test_threads_are_shared_unless_they_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(launch, "cpus", lambda: 8)
    assert [launch.threads_of(jobs) for jobs in (1, 3, 20)] == [8, 2, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert launch.threads_of(4) == 5


def test_cpus_are_those_of_this_process() -> None:
    assert 1 <= launch.cpus() <= (os.cpu_count() or 1)


@pytest.mark.slow
def test_a_process_runs_the_files_that_were_looked_at(tmp_path: Path) -> None:
    """Not its logging.conf, and nothing of a folder that is not the bundle, or no longer is."""
    ran = tmp_path / "ran"
    bundle, out = tmp_path / "b", tmp_path / "out"
    (bundle / "configs").mkdir(parents=True)
    (bundle / "scripts").mkdir()
    (bundle / "configs" / "metadata.json").write_text('{"version": "1"}')
    entry = {"_target_": "scripts.part.Part", "folder": "@output_dir"}
    config = {"bundle_root": ".", "output_dir": ".", "part": entry, "run": ["$@part.leave()"]}
    (bundle / "configs" / "train.json").write_text(json.dumps(config))
    code = "class Part:\n    def __init__(self, folder):\n        self.folder = folder\n\n"
    code += "    def leave(self):\n        open(self.folder + '/left', 'w').close()\n"
    (bundle / "scripts" / "part.py").write_text(code)
    bad = (
        "[loggers]\nkeys=root\n[handlers]\nkeys=\n[formatters]\nkeys=\n[logger_root]\nhandlers=a\n"
    )
    (bundle / "configs" / "logging.conf").write_text(bad)
    words: dict[str, object] = {"output_dir": out, "workflow_type": "train"}
    with pytest.raises(subprocess.CalledProcessError):
        launch.run_bundle(bundle, ["train.json"], words, threads=1)
    assert "nobody here has accepted it" in (out / "log.txt").read_text()
    trusted(bundle)
    launch.run_bundle(bundle, ["train.json"], words, threads=1)
    assert (out / "left").is_file()
    assert not list(bundle.rglob("__pycache__"))
    (bundle / "scripts" / "part.py").write_text(f"open({str(ran)!r}, 'w')")
    with pytest.raises(subprocess.CalledProcessError):
        launch.run_bundle(bundle, ["train.json"], words, threads=1)
    assert not ran.exists()


def test_several_ranks_are_started_by_torchrun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, module, *options = launch.RANKS[2:]
    assert (program, module) == ("-m", "torch.distributed.run")
    assert options == ["--standalone", "--no_python"]
    monkeypatch.setattr(launch, "RANKS", (sys.executable, "-S", "-c", SHOW))
    monkeypatch.setattr(launch, "PROGRAM", ("program",))
    with launch.start_bundle(tmp_path, [], {"output_dir": tmp_path}, threads=2, ranks=3) as process:
        assert process.wait() == 0
    words = ["--nproc_per_node=3", "--max_restarts=3", "program"]
    assert (tmp_path / "log.txt").read_text().startswith(str(words)[:-1])
