# SPDX-License-Identifier: Apache-2.0
"""What a run costs beside the network: imports, a small volume, a folder of them, radiographs.

    python scripts/bench_process.py [--only imports small folder large radiographs] [--runs 3]
        [--volume 300] [--before CHECKOUT] [--json FILE]

imports: what `medvol predict` imports before it can predict, against `import monai`, each in new
processes. small: `medvol predict` of one volume of 64^3 as a process from start to end (one window
of the reference network), with the stages that its record names. folder: 50 such volumes, less what
one takes, and less what the network computes. large: all but the network's forward passes of a CT
of 512 x 512 x 300 (`--volume` names another) by medvol and by MONAI, the faster of
one and four windows at once, each with its stages; and the process from start to end. radiographs:
pictures of 1024 x 1024 as JPEG, end to end, in batches and one by one, with a shipped bundle: by
what `medvol bundle backends` found to be the fastest, and by torch. Beside the rate stands what all
threads together took of the processor for a picture.
`--before` measures the same of a checkout.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import machine
from bench.process_goals import rows
from bench.reference import reference
from bench.sides import ROOT, SCRIPTS, UNSET, Side, run, sides
from bench.volumes import volume
from bench.words import parser_of

FOLDER = Path("bench")
PARTS = ("imports", "small", "folder", "large", "radiographs")
STOCK = ("stock-1", "stock-4")
CASES, PICTURES, PICTURE_SIDE = 50, 200, 1024
RADIOGRAPHS = "chest_xray_pneumonia"
# what the process that predicts imports: medvol's pipeline and tasks, all of MONAI among it
IMPORTED = (
    "import medvol.engine.pipeline, medvol.tasks.volumes, medvol.tasks.predicting, "
    "medvol.inferers.gated, medvol.chains, medvol.transforms.restore, medvol.networks.resunet"
)
# prints what a process of its own measures of pictures: a bundle, their folder, a backend
RATE = """
import json, statistics, sys, time
from pathlib import Path
from medvol.engine.settings import EngineSettings
from medvol.tasks.task import load_bundle
loaded = load_bundle(sys.argv[1], device="cpu", engine=EngineSettings(backend=sys.argv[3]))
paths = sorted(Path(sys.argv[2]).glob("*.jpg"))
list(loaded.predict_many(paths[:16]))
wall, cpu = time.perf_counter(), time.process_time()
number = len(list(loaded.predict_many(paths)))
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
ones = []
for path in paths[:30]:
    began = time.perf_counter()
    loaded.predict(path)
    ones.append(1000 * (time.perf_counter() - began))
print(json.dumps({"rate": number / wall, "cpu_ms": 1000 * cpu / number,
                  "one_ms": statistics.median(ones), "backend": loaded.pipeline.backend.name}))
"""


def main() -> int:
    """Measure the parts that are asked for, and print each goal."""
    parser = parser_of(__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--volume", default="300", help="of the part large")
    parser.add_argument("--before", type=Path, help="measure another checkout of medvol instead")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for all that is made")
    parser.add_argument("--json", type=Path, help="of the figures (default FOLDER/process.json)")
    args = parser.parse_args()
    tree = (args.before or ROOT).resolve()
    os.environ["MEDVOL_HOME"] = str((args.folder / "home").resolve())  # not the user's
    path = args.json or args.folder / "process.json"
    facts = machine.facts(measure=False)
    print(machine.line(facts), flush=True)
    figures: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    figures["machine"] = facts
    for part in args.only:
        found = globals()[part](args, tree)
        figures[part] = found
        print(f"{part}: {json.dumps(found)}", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    print()
    for what, goal, said, met in rows(figures):
        print(f"{met:12} {what}: goal {goal}, {said}")
    return 0


def imports(args: argparse.Namespace, tree: Path) -> dict[str, float]:
    """Seconds to import MONAI, and what medvol needs; new processes, in turn."""
    spent: dict[str, list[float]] = {"monai": [], "medvol": []}
    for _ in range(args.runs):
        for name, words in (("monai", "import monai"), ("medvol", IMPORTED)):
            code = f"import time; t = time.perf_counter(); {words}; print(time.perf_counter() - t)"
            spent[name].append(float(_python(["-c", code], tree).splitlines()[-1]))
    middle = {f"{name}_s": statistics.median(runs) for name, runs in spent.items()}
    return {**middle, "times": middle["medvol_s"] / middle["monai_s"]}


def small(args: argparse.Namespace, tree: Path) -> dict[str, Any]:
    """One small volume as a process from start to end."""
    image = volume("tiny", args.folder / "data")
    assert image is not None
    runs = [_predict(args, tree, image) for _ in range(args.runs)]
    middle = statistics.median(one["seconds"] for one in runs)
    record = _record(args, "tiny")
    needed = imports(args, tree)["medvol_s"]
    return {"seconds": middle, "imports_s": needed, "rest_s": middle - needed,
            "unnamed_s": runs[-1]["seconds"] - sum(record.values()),
            "peak_gib": runs[-1]["peak_gib"], "recorded": record}  # fmt: skip


def folder(args: argparse.Namespace, tree: Path) -> dict[str, Any]:
    """Fifty small volumes in one run, against one."""
    image = volume("tiny", args.folder / "data")
    assert image is not None
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        for n in range(CASES):
            os.link(image, Path(scratch) / f"case{n:03}.nii.gz")
        many = _predict(args, tree, Path(scratch))
        network = [_record(args, f"case{n:03}").get("network", 0.0) for n in range(1, CASES)]
    one = _predict(args, tree, image)
    each = (many["seconds"] - one["seconds"]) / (CASES - 1)
    return {"seconds": many["seconds"], "one_s": one["seconds"], "each_s": each,
            "network_s": statistics.median(network),
            "beside_s": each - statistics.median(network),
            "peak_gib": many["peak_gib"], "memory": many["peak_gib"] / one["peak_gib"]}  # fmt: skip


def large(args: argparse.Namespace, tree: Path) -> dict[str, Any]:
    """All but the network of a large volume, by MONAI and by medvol, and where it is spent."""
    image = volume(args.volume, args.folder / "data")
    assert image is not None
    known = sides(tree)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in (*STOCK, "before")}
    whole = []
    for _ in range(args.runs):
        for name, some in runs.items():
            some.append(_run(args, known[name], image, name))
        whole.append(_predict(args, tree, image))
    middle = {name: _middle(some) for name, some in runs.items()}
    theirs, mine = min((middle[name] for name in STOCK), key=_seconds), middle["before"]
    rest = [side["seconds"] - side["forward_s"] for side in (theirs, mine)]
    record = _record(args, image.name.partition(".")[0])
    return {"volume": args.volume, "stock_rest_s": rest[0], "rest_s": rest[1],
            "times": rest[0] / rest[1], "stock_stages": theirs["stages"], "stages": mine["stages"],
            "seconds": statistics.median(map(_seconds, whole)), "recorded": record,
            "unnamed_s": whole[-1]["seconds"] - sum(record.values()),
            "peak_gib": whole[-1]["peak_gib"]}  # fmt: skip


def _seconds(found: dict[str, Any]) -> float:
    seconds: float = found["seconds"]
    return seconds


def _middle(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run that took the middle of the times."""
    return sorted(runs, key=_seconds)[(len(runs) - 1) // 2]


def radiographs(args: argparse.Namespace, tree: Path) -> dict[str, Any]:
    """Pictures a second, in batches and one by one, from JPEG to answer."""
    pictures = args.folder / "data" / "radiographs"
    if not pictures.is_dir():
        draw(pictures)
    _python(["-m", "medvol", "bundle", "backends", RADIOGRAPHS], tree)
    found: dict[str, Any] = {"pictures": PICTURES, "side": PICTURE_SIDE}
    for backend, end in (("auto", ""), ("torch", "_torch")):
        words = ["-c", RATE, RADIOGRAPHS, str(pictures), backend]
        runs = [json.loads(_python(words, tree).splitlines()[-1]) for _ in range(args.runs)]
        found |= {f"{name}{end}": statistics.median(x[name] for x in runs)
                  for name in ("rate", "cpu_ms", "one_ms")}  # fmt: skip
        found |= {f"rates{end}": [x["rate"] for x in runs], f"backend{end}": runs[0]["backend"]}
    return found


def draw(pictures: Path) -> None:
    """Noise-free chests would be small files: these have a real picture's grain and size."""
    import numpy as np
    from PIL import Image

    pictures.mkdir(parents=True)
    drawn = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : PICTURE_SIDE * 1j, -1 : 1 : PICTURE_SIDE * 1j]
    lungs = sum(np.exp(-(((x - at) / 0.3) ** 2 + (y / 0.6) ** 2) * 2) for at in (-0.45, 0.45))
    for n in range(PICTURES):
        values = 190 - 120 * lungs + drawn.normal(0, 6, x.shape)
        Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(pictures / f"{n:03}.jpg")


def _predict(args: argparse.Namespace, tree: Path, image: Path) -> dict[str, Any]:
    """`medvol predict` as a process, into an empty folder."""
    return _run(args, sides(tree)["before-process"], image, "process")


def _run(args: argparse.Namespace, side: Side, image: Path, name: str) -> dict[str, Any]:
    """A side once, into an empty folder of this name."""
    bundle = str(reference(args.folder / "data", "reference-4-random").resolve())
    found = run(side, bundle, image.resolve(), (args.folder / "out" / name).resolve())
    if "failed" in found:
        raise SystemExit(found["failed"])
    return found


def _record(args: argparse.Namespace, case: str) -> dict[str, float]:
    """Seconds by stage of a case's record."""
    path = args.folder / "out" / "process" / "results" / case / "run.json"
    kept = json.loads(path.read_text(encoding="utf-8"))
    found: dict[str, float] = kept.get("times_s", {})
    return found


def _python(command: list[str], tree: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in UNSET}
    environment["PYTHONPATH"] = os.pathsep.join([str(SCRIPTS), str(tree)])
    done = subprocess.run([sys.executable, *command], env=environment, check=True,
                          capture_output=True, text=True)  # fmt: skip
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
