# SPDX-License-Identifier: Apache-2.0
"""Every bundle before every outside judge, on phantoms: a table. `scripts/judges.sh` starts it.

    python table.py ENVIRONMENTS [BUNDLE...] [--packed] [--zoo CLONE] [--ct IMAGE]

Each judge has an environment below ENVIRONMENTS, and is started from /. With --packed, bundles are
packed and unzipped first, and no environment has medvol. A mask is right when every voxel is that
of `medvol predict`, on the image's grid; a probability when it is within 1e-4 of its.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np

import medvol
from medvol.answer import Answer
from medvol.bundle.find import find_bundle, shipped_bundles
from medvol.sharing import check_run
from medvol.tasks.task import task_of

HERE, REPOSITORY = Path(__file__).parent, Path(medvol.__file__).parents[1]
SCHEMA = REPOSITORY / "medvol" / "sharing" / "metadata_schema.json"
CHECKS = ("zoo_files", "verify_metadata", "verify_net_in_out", "ckpt_export", "load")
CLOSE = 1e-4  # of probabilities, which tables print with four digits
SECONDS = 900
YES, REFUSED, NO, NOT_TRIED = "yes", "refused", "NO", "not tried"
LAB_SPACING_MM = ("4", "4", "8")  # of the two cases of a lab in a federation


class Case(NamedTuple):
    """A bundle and what it is tried on.

    Args:
        bundle: its root.
        image: that MONAI Label and MONAI Deploy are given, one file.
        folder: with the image as MONAI's own command takes it.
        answer: of medvol.
        packed: nothing of medvol is importable.
    """

    bundle: Path
    image: Path
    folder: Path
    answer: Answer
    packed: bool


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environments", type=Path)
    parser.add_argument("bundles", nargs="*")
    parser.add_argument("--packed", action="store_true")
    parser.add_argument("--zoo", type=Path)
    parser.add_argument("--ct", type=Path, help="in place of the phantom")
    parser.add_argument("--judges", nargs="+", help="some of the rows; default: all")
    args = parser.parse_args(words)
    environments = args.environments.resolve()
    judges = {
        name: judge
        for name, judge in judges_of(environments, args.zoo).items()
        if not args.judges or name in args.judges
    }
    told: dict[str, dict[str, str]] = {name: {} for name in judges}
    for given in args.bundles or shipped_bundles():
        bundle, work = find_bundle(given), environments / "work"
        shutil.rmtree(work, ignore_errors=True)
        (work / "out").mkdir(parents=True)
        case = case_of(bundle, work, packed=args.packed, ct=args.ct)
        for name, judge in judges.items():
            told[name][bundle.name] = judge(case, fresh(work / "out"))
            print(f"{bundle.name}: {name}: {told[name][bundle.name]}", file=sys.stderr, flush=True)
    print_table(told)
    return int(any(word.startswith(NO) for row in told.values() for word in row.values()))


def case_of(bundle: Path, work: Path, *, packed: bool, ct: Path | None) -> Case:
    """A bundle with its phantom and medvol's own answer."""
    loaded = medvol.load_bundle(bundle, device="cpu")
    kind, folder = task_of(loaded.spec).kind, work / "images"
    folder.mkdir()
    if kind == "sequences":
        check_run.head(folder, sequences=True)
        image = stacked(folder, work / "head.nii.gz")
        (work / "patients").mkdir()
        folder = Path(shutil.move(folder, work / "patients" / "images")).parent
    elif ct and kind == "volume":
        image = Path(shutil.copy(ct, folder))
    else:
        made = check_run.phantom(folder, kind, loaded.spec.modality)
        if made is None:
            raise SystemExit(f"{bundle}: there is no phantom of such images")
        image = made
    if packed:
        words = ["medvol", "bundle", "pack", str(bundle), "-o", str(work / "packed.zip")]
        subprocess.run([sys.executable, "-P", "-m", *words], check=True, stdout=sys.stderr)
        zipfile.ZipFile(work / "packed.zip").extractall(work / "unzipped")
        bundle = work / "unzipped" / bundle.name
    return Case(bundle, image, folder, loaded.predict(image), packed)


def stacked(folder: Path, path: Path) -> Path:
    """The sequences of a folder as one 4D NIfTI."""
    files = [nibabel.load(folder / f"head_{name}.nii.gz") for name in ("t1", "flair", "t1c")]
    values = np.stack([np.asarray(file.dataobj) for file in files], axis=3)
    nibabel.save(nibabel.Nifti1Image(values, files[0].affine), path)
    return path


def judges_of(environments: Path, zoo: Path | None) -> Mapping[str, Callable[[Case, Path], str]]:
    """Name of a judge to what it says of a case, given a folder to write in."""
    found: dict[str, Callable[[Case, Path], str]] = {
        name: partial(by_monai, environments, name) for name in CHECKS
    }
    verify = zoo / "ci" / "verify_bundle.py" if zoo else None
    if verify and verify.is_file():
        found["the zoo's verify_bundle"] = partial(by_zoo, environments, verify)
    found["monai.bundle run, in its folder"] = partial(by_run, environments, inside=True)
    found["monai.bundle run, from /"] = partial(by_run, environments, inside=False)
    for name, program in (("monailabel", "MONAI Label"), ("deploy", "MONAI Deploy")):
        if (environments / name / ".installed").is_file():
            found[program] = partial(by_viewer, environments, name)
    found["MonaiAlgo, in a federation"] = partial(by_federation, environments)
    return found


def python_of(environments: Path, name: str, case: Case) -> Path:
    """The Python of a judge; where medvol is importable, MONAI's own tools run in this one."""
    if name == "monai" and not case.packed:
        return Path(sys.executable)
    return environments / name / "bin" / "python"


def asked(case: Case, words: Sequence[object], *, cwd: Path = Path("/")) -> str:
    """Run a judge; "" where it is content, else its last line."""
    runtime = Path(str(words[0])).parent.parent.glob("lib/*/site-packages/nvidia/cuda_runtime/lib")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"LD_LIBRARY_PATH": ":".join(map(str, runtime)), "PYTHONDONTWRITEBYTECODE": "1"}
    if not case.packed:
        environment["PYTHONPATH"] = str(REPOSITORY)
    try:
        done = subprocess.run(
            [str(word) for word in words], cwd=cwd, env=environment, timeout=SECONDS, check=False,
            capture_output=True, encoding="utf-8", errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"it took more than {SECONDS} s"
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return "" if done.returncode == 0 else (lines or ["it died without a word"])[-1]


def by_monai(environments: Path, check: str, case: Case, out: Path) -> str:
    """One of MONAI's own tools."""
    python, program = python_of(environments, "monai", case), HERE / "bundle_in_monai.py"
    return verdict(asked(case, [python, program, check, case.bundle, SCHEMA, out]))


def by_zoo(environments: Path, program: Path, case: Case, out: Path) -> str:
    """The zoo's own program, on a copy that has the schema at hand as in the zoo's CI."""
    copy = out / "models" / case.bundle.name
    shutil.copytree(case.bundle, copy)
    (copy / "eval").mkdir(exist_ok=True)
    shutil.copy(SCHEMA, copy / "eval" / "schema.json")
    (copy.parent / "model_info.json").write_text("{}")
    python = python_of(environments, "monai", case)
    words = [python, program.resolve(), "-b", copy.name, "-p", copy.parent, "-m", "full"]
    return verdict(asked(case, words))


def by_run(environments: Path, case: Case, out: Path, *, inside: bool) -> str:
    """MONAI's command, as a user types it."""
    root = Path() if inside else case.bundle
    words = {
        "config_file": root / "configs" / "inference.json", "dataset_dir": case.folder,
        "output_dir": out, **({} if inside else {"bundle_root": root}),
    }  # fmt: skip
    options = [word for name, value in words.items() for word in (f"--{name}", value)]
    python = python_of(environments, "monai", case)
    said = asked(
        case, [python, "-m", "monai.bundle", "run", *options],
        cwd=case.bundle if inside else Path("/"),
    )  # fmt: skip
    return verdict(said) if said else compared(case.answer, out)


def by_viewer(environments: Path, name: str, case: Case, out: Path) -> str:
    """MONAI Label or MONAI Deploy."""
    program = HERE / f"bundle_in_{name}.py"
    words = [python_of(environments, name, case), program, case.bundle, case.image]
    said = asked(case, [*words, out / "mask.nii.gz"])
    return verdict(said) if said else compared(case.answer, out)


def by_federation(environments: Path, case: Case, out: Path) -> str:
    """MONAI's client of a federation, on two cases of a lab; only CT has phantoms with labels."""
    if case.answer.spec.modality != "CT":
        return NOT_TRIED
    data, lab = out / "data", out / "lab"
    words = ["data", "phantom", "-o", str(data), "--count", "2", "--spacing", *LAB_SPACING_MM]
    made = [sys.executable, "-P", "-m", "medvol", *words]
    subprocess.run(
        made, check=True, stdout=sys.stderr, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
    )
    lab.mkdir()
    program, python = HERE / "bundle_in_federation.py", python_of(environments, "monai", case)
    return verdict(asked(case, [python, program, case.bundle, data, lab]))


def compared(answer: Answer, out: Path) -> str:
    """Whether what was written is what medvol says."""
    if answer.mask is not None:
        (path,) = out.glob("*.nii.gz")
        written = nibabel.load(path)
        same_grid = np.allclose(written.affine, answer.image.affine, atol=1e-4)
        values = np.asarray(written.dataobj)
        if values.shape != answer.mask.shape or not same_grid:
            return f"{NO}: on another grid, {values.shape}"
        differ = int((values != answer.mask).sum())
        return YES if not differ else f"{NO}: {differ} of {values.size} voxels differ"
    (path,) = out.glob("*.csv")
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    if answer.slices is not None:
        found, own = [float(row["probability"]) for row in rows], answer.slices.probability
    else:
        found = [float(v) for k, v in rows[0].items() if k.startswith("probability_")]
        own = answer.classes.probability if answer.classes else ()
    apart = float(np.abs(np.array(found) - np.array(own)).max())
    return YES if apart <= CLOSE else f"{NO}: probabilities differ by {apart:.2g}"


def verdict(said: str) -> str:
    """A word on the last line of a judge."""
    if not said:
        return YES
    return f"{REFUSED}: {said}" if said.startswith("InputError: ") else f"{NO}: {said}"


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def print_table(told: Mapping[str, Mapping[str, str]]) -> None:
    """A line a judge, a column a bundle; reasons below, each once."""
    bundles = list(next(iter(told.values())))
    print(f"| judge | {' | '.join(bundles)} |\n| --- |{' --- |' * len(bundles)}")
    for name, row in told.items():
        print(f"| {name} | {' | '.join(row[b].partition(':')[0] for b in bundles)} |")
    reasons = {word: None for row in told.values() for word in row.values() if ":" in word}
    print("", *(f"- {reason}" for reason in reasons), sep="\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
