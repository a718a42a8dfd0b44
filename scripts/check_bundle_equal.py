# SPDX-License-Identifier: Apache-2.0
"""Run bundles by `python -m monai.bundle run` and by `medvol predict`, and compare their answers.

    python scripts/check_bundle_equal.py BUNDLE... [--image FILE] [--set ID=VALUE...]

Each bundle is copied; where it has no weights it gets random ones that make smooth masks, and
without an image a phantom of its kind is drawn. Each run is a process of its own. The code of the
bundles is run: give only bundles that you trust.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import numpy.typing as npt
import yaml

from medvol.bundle.foreign import EVALUATOR, id_of, inference_config
from medvol.bundle.spec import Spec, read_spec
from medvol.images.channels import channel_files

SHAPE, SPACING_MM = (96, 88, 45), (2.1, 2.1, 3.3)
LPS = np.array([-1, -1, 1])  # as DICOM has it
PICTURE = (300, 260, 3)
HEAD = (
    "| bundle | answer | monai.bundle run | medvol | --stock | Dice | voxels that differ "
    "| replaced | left alone |"
)


class Ran(NamedTuple):
    """What a process answered, an array, and how long it took."""

    answer: npt.NDArray[Any]
    seconds: float
    explained: Mapping[str, Any] = {}


def main() -> int:
    """Compare, and print a table; 1 where answers differ more than they may."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE")
    parser.add_argument("--image", type=Path, help="in place of a phantom")
    parser.add_argument(
        "--spacing", type=float, nargs=3, default=SPACING_MM, metavar="MM",
        help="of the phantom's 96 x 88 x 45 voxels (default 2.1 2.1 3.3)",
    )  # fmt: skip
    parser.add_argument("--least", type=float, default=0.9999, help="Dice that is wanted")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--work", type=Path, help="folder in which everything stays")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="ID=VALUE",
        help="entries of the inference config that both get, such as inferer#roi_size=[64,64,64]",
    )  # fmt: skip
    parser.add_argument(
        "--run", nargs="*", default=[], metavar="ID=VALUE",
        help="what monai.bundle run alone needs, such as a list of cases that it would open",
    )  # fmt: skip
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = (args.work or Path(temporary)).resolve()
        rows, good = [], True
        for given in args.bundles:
            row, least = compare(given, work, args)
            rows.append(row)
            good &= least >= args.least
    print("\n".join([HEAD, "| --- " * (HEAD.count("|") - 1) + "|", *rows]))
    return 0 if good else 1


def compare(given: Path, work: Path, args: argparse.Namespace) -> tuple[str, float]:
    """A row of the table, and the least Dice of a label."""
    folder = work / given.resolve().name
    shutil.copytree(given, folder, dirs_exist_ok=True)
    for setting in args.set:
        change(inference_config(folder), *setting.split("=", 1))
    spec = read_spec(folder)
    image = args.image or phantom(spec, work / "images" / folder.name, args.spacing)
    if not spec.weights.is_file():
        command = [sys.executable, __file__, "weights", os.fspath(folder), os.fspath(image)]
        run(command, args.threads, folder)
    theirs = by_monai(spec, image, args.threads, args.run)
    ours, stock = (by_medvol(spec, image, args.threads, *more) for more in ((), ("--stock",)))
    dice, differing = least_dice(theirs.answer, ours.answer)
    stock_dice, stock_differing = least_dice(theirs.answer, stock.answer)
    found = len(np.unique(theirs.answer[theirs.answer > 0]))
    size = " x ".join(map(str, theirs.answer.shape))
    replaced = [x for x in ours.explained["substitutions"] if x["by"]]
    left = [x for x in ours.explained["substitutions"] if not x["by"]]
    cells = [
        f"`{spec.name}` {spec.version}",
        f"{size}, {found} labels" if spec.task == "volumes" else f"{size} classes",
        *(f"{x.seconds:.1f} s" for x in (theirs, ours, stock)),
        f"{dice:.5f} (stock {stock_dice:.5f})",
        f"{differing} (stock {stock_differing})",
        "; ".join(f"{' + '.join(x['replaced'])} by {x['by']}" for x in replaced),
        ", ".join(name for x in left for name in x["replaced"]) or "nothing",
    ]
    row = f"| {' | '.join(cells)} |"
    print(row, file=sys.stderr, flush=True)
    return row, min(dice, stock_dice)


def by_monai(spec: Spec, image: Path, threads: int, needed: Sequence[str]) -> Ran:
    """The answer of `python -m monai.bundle run`."""
    config, out = inference_config(spec.folder), spec.folder / "eval_monai"
    content = read(config)
    files = channel_files(image, spec.channels) if image.is_dir() else []
    item = list(map(str, files)) or str(image)
    key = content.get("image_key", "image")
    task = next((x for x in ("run", "evaluating") if x in content), EVALUATOR)
    data = f"$[{{{key!r}: {item!r}}}]"
    words = {"bundle_root": str(spec.folder), "output_dir": str(out), "dataset#data": data,
             "dataloader#num_workers": "0"}  # fmt: skip
    words |= dict(setting.split("=", 1) for setting in needed)
    options = [word for name, value in words.items() for word in (f"--{name}", value)]
    command = [sys.executable, "-m", "monai.bundle", "run", *([] if task == "run" else [task])]
    seconds = run([*command, "--config_file", str(config), *options], threads, spec.folder)
    if spec.task == "radiographs":
        (table,) = out.rglob("*.csv")
        last = table.read_text(encoding="utf-8").splitlines()[-1].rsplit(",", len(spec.classes))
        return Ran(np.array([float(x) for x in last[1:]]), seconds)
    (path,) = out.rglob("*.nii.gz")
    found = nib.load(path)
    array = np.asarray(found.dataobj)
    if array.ndim == 4:  # regions that may overlap
        array = sum((array[..., k] > 0.5).astype(int) << k for k in range(array.shape[-1]))
    return Ran(np.rint(array).astype(int), seconds)


def by_medvol(spec: Spec, image: Path, threads: int, *more: str) -> Ran:
    """The answer of `medvol predict`."""
    out = spec.folder.parent / f"{spec.name}_medvol{''.join(more)}"
    formats = ["nii"] if spec.task == "volumes" else ["json"]
    command = [
        sys.executable, "-m", "medvol", "predict", str(image), "--bundle", str(spec.folder), "-o",
        str(out), "--format", *formats, "--json", "--explain", "--overwrite", "--device", "cpu",
        "--trust-this-bundle", "--threads", str(threads), *more,
    ]  # fmt: skip
    log = spec.folder.parent / "said.json"
    seconds = run(command, threads, spec.folder.parent, log)
    said = json.loads(log.read_text(encoding="utf-8"))
    (case,) = said["cases"]
    explained = said["explained"]["engine"]
    if spec.task == "radiographs":
        return Ran(np.array([*case["classes"]["probability"].values()]), seconds, explained)
    return Ran(np.asarray(nib.load(case["files"]["nii"]).dataobj).astype(int), seconds, explained)


def least_dice(one: npt.NDArray[Any], two: npt.NDArray[Any]) -> tuple[float, int]:
    """The least Dice of a label that either has, and how many values differ; 0 where no shape
    fits. Of probabilities 1 where the class is the same, and how many differ by 1e-4."""
    if one.shape != two.shape:
        return 0.0, max(one.size, two.size)
    if one.ndim == 1:
        return float(one.argmax() == two.argmax()), int((np.abs(one - two) > 1e-4).sum())
    dice = [
        2 * ((one == value) & (two == value)).sum() / ((one == value).sum() + (two == value).sum())
        for value in np.union1d(one, two)
        if value
    ]
    return float(min(dice, default=1.0)), int((one != two).sum())


def run(command: Sequence[str], threads: int, folder: Path, log: Path | None = None) -> float:
    """Seconds that a process took.

    Raises:
        SystemExit: it failed; what it said is printed.
    """
    number = str(threads)
    home = {"MEDVOL_HOME": str(folder.parent / "home"), "OMP_NUM_THREADS": number}
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **home, "MKL_NUM_THREADS": number},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}")
    if log is not None:
        log.write_text(done.stdout, encoding="utf-8")
    return seconds


def read(config: Path) -> dict[str, Any]:
    """A config, JSON or YAML."""
    text = config.read_text(encoding="utf-8")
    content: dict[str, Any] = (yaml.safe_load if config.suffix != ".json" else json.loads)(text)
    return content


def change(config: Path, key: str, value: str) -> None:
    """Set an entry of a config by its id."""
    content = read(config)
    *above, last = key.split("#")
    place: Any = content
    for name in above:
        place = place[int(name) if isinstance(place, list) else name]
    place[int(last) if isinstance(place, list) else last] = yaml.safe_load(value)
    config.write_text(json.dumps(content, indent=4), encoding="utf-8")  # YAML holds all JSON


def phantom(spec: Spec, folder: Path, spacing_mm: Sequence[float]) -> Path:
    """An image of the kind that a bundle takes: smooth, with a body, blobs and some noise."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(14)
    if spec.task == "radiographs":
        from PIL import Image

        colours = [255 * _blobs(PICTURE[:2], rng) for _ in range(PICTURE[2])]
        path = folder / "picture.png"
        Image.fromarray(np.stack(colours, -1).astype(np.uint8)).save(path)
        return path
    paths = []
    for name in spec.channels:
        inside = _ellipsoid(SHAPE)
        blobs = _blobs(SHAPE, rng) + rng.normal(0, 0.01, SHAPE)
        is_ct = spec.modality in ("CT", None) and len(spec.channels) == 1
        values = np.where(inside, 500 * blobs - 250, -1000) if is_ct else 900 * inside * blobs
        path = folder / f"{name if len(spec.channels) > 1 else 'image'}.nii.gz"
        affine = np.diag([*(LPS * spacing_mm), 1.0])
        nib.save(nib.Nifti1Image(np.round(values).astype(np.int16), affine), path)
        paths.append(path)
    return paths[0] if len(paths) == 1 else folder


def _axes(shape: Sequence[int]) -> Iterator[npt.NDArray[np.float64]]:
    yield from np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")


def _ellipsoid(shape: Sequence[int]) -> npt.NDArray[np.bool_]:
    return sum(x**2 for x in _axes(shape)) < 0.9


def _blobs(shape: Sequence[int], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """0 to 1, with a dozen round bumps and dents."""
    axes, total = list(_axes(shape)), np.zeros(shape)
    for _ in range(12):
        middle, width = rng.uniform(-0.7, 0.7, len(shape)), rng.uniform(0.15, 0.4)
        distance = sum((x - m) ** 2 for x, m in zip(axes, middle, strict=True))
        total += rng.choice([-1, 1]) * np.exp(-distance / (2 * width**2))
    return (total - total.min()) / (total.max() - total.min())


def write_weights(folder: Path, image: Path) -> None:
    """Random weights, with convolutions that smooth, and scores centred on the image, so that no
    class is everywhere and no mask is noise."""
    import torch

    from medvol.bundle.config import Config
    from medvol.bundle.permission import permit_or_accept
    from medvol.engine.pipeline import Pipeline
    from medvol.engine.settings import EngineSettings
    from medvol.tasks.cases import AS_IT_IS
    from medvol.tasks.task import task_of

    permit_or_accept(folder, trust=True)
    spec = read_spec(folder)
    config = Config(
        inference_config(folder), bundle_root=str(folder), device="$torch.device('cpu')"
    )
    torch.manual_seed(14)
    network = config.build(id_of(config.parser.get(), "network") or "network").eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 3:  # a convolution: the same blur for each pair of channels
                sizes = parameter.shape[2:]
                blur = torch.ones(sizes) / torch.tensor(sizes).prod()
                mixing = torch.randn(parameter.shape[:2]) * (2 / parameter.shape[1]) ** 0.5
                parameter.copy_(mixing.reshape(*mixing.shape, *[1] * len(sizes)) * blur)
        spec.weights.parent.mkdir(exist_ok=True)
        torch.save(network.state_dict(), spec.weights)
        permit_or_accept(folder, trust=True)  # with its weights it is another bundle
        task = task_of(spec)
        pipeline = Pipeline(
            spec, device="cpu", any_reader=task.any_reader, engine=EngineSettings(stock=True)
        )
        prepared = torch.as_tensor(pipeline.prepare(task.read(image, AS_IT_IS)).data["image"])
        scores = pipeline.inferer(prepared[None], network)[0]
        classes = len(scores)
        last = [x for x in network.parameters() if x.shape == (classes,)][-1]
        last -= scores.reshape(classes, -1).mean(1)
    torch.save(network.state_dict(), spec.weights)


if __name__ == "__main__":
    if sys.argv[1:2] == ["weights"]:
        write_weights(*map(Path, sys.argv[2:]))
    else:
        sys.exit(main())
