# SPDX-License-Identifier: Apache-2.0
"""The sides of a benchmark: what each is, and one run of it in a process of its own."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .clock import Others, own_cpu_s

SCRIPTS = Path(__file__).resolve().parents[1]
ROOT = SCRIPTS.parent
NNUNET_PYTHON = ROOT / ".judges" / "nnunet" / "bin" / "python"
# threads are each side's own business, as for a user
# and modules are compiled once, as those of a package that was installed
UNSET = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True)
class Side:
    """What predicts an image.

    Args:
        kind: of `side.KINDS`.
        options: of `bench.side`.
        python: that runs it.
        tree: checkout of medvol that it imports.
        whole: the command that it is instead, from start to end; of {image}, {bundle}, {out}.
        why_not: it is left out; empty where it runs.
    """

    kind: str
    options: tuple[str, ...] = ()
    python: Path = Path(sys.executable)
    tree: Path = ROOT
    whole: tuple[str, ...] = field(default=())
    why_not: str = ""


def sides(before: Path | None = None) -> dict[str, Side]:
    """All there are, by name.

    Args:
        before: another checkout of medvol, to compare with.
    """
    from .machine import has_bf16
    from .nnunet import INSTALL

    predict = ("-m", "medvol", "predict", "{image}", "--bundle", "{bundle}", "--output",
               "{out}/results", "--quiet", "--trust-this-bundle")  # fmt: skip
    stock = ("-m", "monai.bundle", "run", "--config_file", "{bundle}/configs/inference.json",
             "--bundle_root", "{bundle}", "--dataset_dir", "{folder}", "--output_dir", "{out}",
             "--datalist", "['{image}']")  # fmt: skip
    no_bf16 = "" if has_bf16() else "this processor does not compute bf16"
    no_nnunet = "" if NNUNET_PYTHON.is_file() else f"nnU-Net is not installed: {INSTALL}"
    found = {
        "stock-1": Side("stock", ("--windows", "1")),
        "stock-4": Side("stock", ("--windows", "4")),
        "stock": Side("stock"),
        "stock-parts": Side("stock", ("--stock-parts",)),
        "nnunet": Side("nnunet", python=NNUNET_PYTHON, why_not=no_nnunet),
        "medvol": Side("medvol"),
        "medvol-torch": Side("medvol", ("--backend", "torch")),
        "medvol-torch-channels-last": Side("medvol", ("--backend", "torch-channels-last")),
        "medvol-openvino": Side("medvol", ("--backend", "openvino")),
        "medvol-bf16": Side("medvol", ("--precision", "bf16"), why_not=no_bf16),
        "medvol-lungs": Side("medvol", ("--crop", "lungs")),
        "medvol-lungs-bf16": Side(
            "medvol", ("--crop", "lungs", "--precision", "bf16"), why_not=no_bf16
        ),
        "stock-process": Side("process", whole=stock),
        "medvol-process": Side("process", whole=(*predict, "--format", "nii", "json")),
        "medvol-process-all": Side("process", whole=predict),
    }
    if before is not None:
        found["before"] = Side("medvol", tree=before)
        found["before-process"] = Side("process", tree=before, whole=predict)
    return found


def run(side: Side, bundle: str, image: Path, out: Path, *, under: str = "") -> dict[str, Any]:
    """Run a side once.

    Args:
        side: that runs.
        bundle: folder or name.
        image: the file.
        out: folder for what it writes; emptied before.
        under: command that it is started with, such as "taskset -c 0,1".

    Returns:
        Its figures; {"failed": why} where it failed.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    command = [*shlex.split(under), str(side.python), "-m", "bench.side", side.kind]
    command += ["--out", str(out)]
    if side.whole:
        words = {"image": image, "bundle": bundle, "out": out, "folder": image.parent}
        command += ["--command", str(side.python), *(word.format(**words) for word in side.whole)]
    else:
        command += ["--bundle", bundle, "--image", str(image), *side.options]
    environment = {key: value for key, value in os.environ.items() if key not in UNSET}
    environment["PYTHONPATH"] = os.pathsep.join([str(SCRIPTS), str(side.tree)])
    environment["PYTHONWARNINGS"] = "ignore"
    others, own = Others(), own_cpu_s()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    figures = out / "figures.json"
    if done.returncode or not figures.is_file():
        lines = (done.stderr.strip() or f"ended with {done.returncode}").splitlines()
        (out / "stderr.txt").write_text(done.stderr, encoding="utf-8")
        return {"failed": lines[-1][:160] if lines else f"ended with {done.returncode}"}
    found: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
    return {**found, "cpu_s": own_cpu_s() - own, "others_cpu_s": others.seconds()}
