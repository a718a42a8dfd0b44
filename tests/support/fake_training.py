# SPDX-License-Identifier: Apache-2.0
"""A training that takes milliseconds: a program in place of `monai.bundle run`, and its bundle.

Its validation figure after epoch e is quality * (1 - 0.5**e), where quality is 1 less the distance
of `learning_rate` from 0.3, and `width` adds 0.01 each. It writes what a real one writes, and goes
on from its last epoch. It ends when its starter has died. `mood` says how it fails. Where `weights`
names a folder, `last.pt` and `model.pt` come from there; where `tables` does, a measurement copies
those of its fold or part.
"""

import ast
import fcntl
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

PROGRAM = (sys.executable, "-S", "-E", __file__)  # starts in 20 ms
CONFIG = {
    "epochs": 3,
    "val_interval": 1,
    "learning_rate": 0.1,
    "epoch_s": 0,
    "mood": "good",
    "weights": None,
    "tables": None,
    "fold": None,
    "datalist": "datalist.json",
    "network_def": {"_target_": "torch.nn.Linear", "in_features": 3, "out_features": 2},
    "train": {"handlers": []},
    "validate": {
        "key_metric": {"score": {}},
        "evaluator": {"_target_": "SupervisedEvaluator"},
        "part": "validation",
    },
}


def fake_bundle(folder: Path, **changes: Any) -> Path:
    """A bundle that only `PROGRAM` can train."""
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "metadata.json").write_text("{}")
    (folder / "configs" / "train.json").write_text(json.dumps({**CONFIG, **changes}))
    (folder / "configs" / "evaluate.json").write_text('{"measured": true}')
    return folder


def quality(learning_rate: float, width: int = 0) -> float:
    """The figure after endless epochs."""
    return 1 - abs(learning_rate - 0.3) + 0.01 * width


def main(words: list[str]) -> None:
    given = {name: ast.literal_eval(x) for name, x in zip(words[::2], words[1::2], strict=True)}
    config: dict[str, Any] = {}
    for file in given["--config_file"]:
        config |= json.loads(Path(file).read_text())
    folder = Path(given["--output_dir"])
    if config.get("measured"):
        (folder / "weights.txt").write_text(given["--ckpt_path"])
        (folder / "part.txt").write_text(given.get("--validate#part", ""))
        if config["tables"]:
            fold = config["fold"]
            which = given["--validate#part"] if fold is None else f"fold{fold}"
            shutil.copytree(Path(config["tables"]) / which, folder, dirs_exist_ok=True)
        return
    if "--accept_changes" in given:
        (folder / "accepted.txt").write_text(str(given["--accept_changes"]))
    lock = open(folder / ".training.lock", "w")  # noqa: SIM115 - it ends with this process
    fcntl.flock(lock, fcntl.LOCK_EX)
    last, curves, so_far = folder / "last.pt", folder / "curves.csv", folder / "epoch.txt"
    epoch = int(so_far.read_text()) if so_far.is_file() else 0
    with open(folder / "starts.txt", "a") as file:
        file.write(f"{epoch}\n")
    if config["mood"] == "crash":
        sys.exit("Traceback:\nValueError: no such layer\n\nRuntimeError: Failed to instantiate.")
    if config["mood"] == "refuse":
        sys.exit("Traceback:\nmedvol: E_CORRUPT last.pt: it is cut. Start over.")
    if not epoch:
        whole(curves, "epoch,name,value\n")
    figure = quality(config["learning_rate"], config.get("network_def#width", 0))
    starter = os.getppid()
    for done in range(epoch + 1, config["epochs"] + 1):
        time.sleep(config["epoch_s"])
        if os.getppid() != starter:
            return
        value = "nan" if config["mood"] == "nan" else figure * (1 - 0.5**done)
        points = f"{done},score,{value}\n{done},other,{done}\n{done},learning_rate,1\n"
        whole(curves, curves.read_text() + points)
        whole(so_far, str(done))
        for name in (last.name, "model.pt"):
            if config["weights"]:
                shutil.copyfile(Path(config["weights"]) / name, folder / name)
            else:
                whole(folder / name, str(done))
        stopped = "epochs" if done == config["epochs"] else None
        record = {"epoch": done, "seconds": 0.5 * done, "stopped": stopped}
        whole(folder / "progress.json", json.dumps(record))


def whole(path: Path, text: str) -> None:
    """Write a file that appears whole, since somebody may end this program at any point."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)


if __name__ == "__main__":
    main(sys.argv[1:])
