# SPDX-License-Identifier: Apache-2.0
"""The golden case of a packed bundle: a phantom, and what the bundle answered where it was packed.

Who receives the bundle runs it on the phantom again. On another processor, with other packages or
on a GPU, scores differ a little; more than a little means that the bundle does not run there as it
did. The case lies in `golden`: the phantom in `input`, the mask in `expected_mask.nii.gz`, scores
and probabilities in `expected.npz`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch

from ..answer import Answer
from ..bundle.spec import read_spec
from ..engine.child import Child
from ..engine.confined import confinement_for
from ..engine.limits import usual_limits
from ..engine.serve import Handler
from ..engine.steps import PRED
from ..errors import InputError
from ..files import write_text
from ..images import read_image
from ..images.writing import write_mask
from ..metrics.masks.overlap import dice, region_counts
from ..tasks.task import load_bundle, task_of
from .check_run import phantom

GOLDEN = "golden"  # folder in a packed bundle
INPUT, MASK, NUMBERS = "input", "expected_mask.nii.gz", "expected.npz"
SCORES, SHAPE, PROBABILITY = "scores", "shape", "probability"  # arrays in `NUMBERS`
SAMPLES = 4096  # scores that are kept, evenly spread over all channels and voxels: 16 KB
PAGE = """# Golden case

`{input}/` holds a phantom, drawn by a program: it is an image of nobody, and says nothing of how
good the bundle is. The other files are the answer of this bundle to it on the computer on which it
was packed, on the CPU.

| file | holds |
| --- | --- |
| `{mask}` | the mask, where the bundle gives one |
| `{numbers}` | `{scores}`: of the network, {samples} or fewer, evenly spread over the flattened \
scores, whose shape is `{shape}`; `{probability}`: of the slices or classes, where it gives any |

medvol runs it when it receives the bundle, and prints Dice and the largest difference of the
scores.
"""


class GoldenResult(NamedTuple):
    """How an answer agrees with that of the computer on which the bundle was packed.

    Args:
        dice: label to Dice of its voxels, 1 where neither marks any; empty without a mask.
        score_difference: the largest of the scores that are kept, in units of the scores, 0 or
            more.
        probability_difference: the largest of the slices or classes, 0 to 1; None where there
            are none.
    """

    dice: Mapping[str, float]
    score_difference: float
    probability_difference: float | None

    @property
    def mean_dice(self) -> float | None:
        """Over the labels, 0 to 1; None without a mask."""
        return float(np.mean([*self.dice.values()])) if self.dice else None

    def to_json(self) -> dict[str, Any]:
        """All of it, by name."""
        return {**self._asdict(), "dice": dict(self.dice), "mean_dice": self.mean_dice}

    def __str__(self) -> str:
        said = [f"largest score difference {self.score_difference:.2g}"]
        if self.dice:
            each = ", ".join(f"{name} {value:.4f}" for name, value in self.dice.items())
            said.insert(0, f"mean Dice {self.mean_dice:.4f} ({each})")
        if self.probability_difference is not None:
            said.append(f"largest probability difference {self.probability_difference:.2g}")
        return ", ".join(said)


def make_golden(bundle: Path, folder: Path) -> bool:
    """Run a bundle on a phantom, and write both into a folder.

    Args:
        bundle: its root.
        folder: for the golden case; made when it is not there.

    Raises:
        InputError: the bundle does not run; E_NOSPACE, the folder cannot be written.

    Returns:
        False, and no file is written, for a bundle of whose images there is no phantom.
    """
    spec = read_spec(bundle)
    (folder / INPUT).mkdir(parents=True)
    image = phantom(folder / INPUT, task_of(spec).kind, spec.modality)
    if image is None:
        (folder / INPUT).rmdir()
        return False
    answer, scores = _run(bundle, image)
    if answer.mask is not None:
        write_mask(folder / MASK, answer.mask, answer.image.affine)
    arrays: dict[str, Any] = _numbers(answer, scores)
    np.savez_compressed(folder / NUMBERS, **arrays)
    write_text(
        folder / "README.md",
        PAGE.format(input=INPUT, mask=MASK, numbers=NUMBERS, scores=SCORES, shape=SHAPE,
                    probability=PROBABILITY, samples=SAMPLES),
    )  # fmt: skip
    return True


def make_golden_apart(bundle: Path, folder: Path, *, seconds: float | None = None) -> bool:
    """`make_golden`; of a bundle that carries code in a confined process of its own.

    Args:
        bundle, folder: as for `make_golden`.
        seconds: s that the code may take; None for what is usual.

    Raises:
        InputError: as for `make_golden`; E_UNTRUSTED, the bundle may not run here.

    Returns:
        As `make_golden`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    confinement = confinement_for(bundle, write=[folder])
    if confinement is None:
        return make_golden(bundle, folder)
    work = f"{__name__}:{maker.__name__}"
    with Child(work, limits=usual_limits(seconds, confined=True), confinement=confinement) as child:
        return bool(child.ask((bundle, folder), name=lambda request: request[0]))


def maker(_: None) -> Handler:
    """Makes golden cases, for a `Child`; a request is a bundle's root and a folder."""
    return lambda requests: (make_golden(bundle, folder) for bundle, folder in requests)


def run_golden(bundle: Path) -> GoldenResult | None:
    """Run a bundle on its golden case, on the CPU, and compare.

    Args:
        bundle: its root.

    Raises:
        InputError: E_BUNDLE, the case is not whole, or the bundle answers in another form; or why
            it does not run.

    Returns:
        None for a bundle without a golden case.
    """
    folder = bundle / GOLDEN
    if not folder.is_dir():
        return None
    with _whole(folder):
        expected = _read(folder / NUMBERS)
        images = sorted((folder / INPUT).iterdir())
    answer, scores = _run(bundle, images[0] if len(images) == 1 else folder / INPUT)
    with _whole(folder):
        found = _numbers(answer, scores)
        differs = _differences(found, expected)
        overlap = _overlap(answer, folder / MASK)
    return GoldenResult(overlap, differs[SCORES], differs.get(PROBABILITY))


def runner(_: None) -> Handler:
    """Runs golden cases, for a `Child`; a request is a bundle's root."""
    return lambda bundles: (run_golden(bundle) for bundle in bundles)


def _run(bundle: Path, image: Path) -> tuple[Answer, npt.NDArray[np.float32]]:
    """The answer of a bundle, and the scores of its network, before its postprocessing."""
    loaded = load_bundle(bundle, device="cpu")
    loaded.pipeline.streams = False  # else the scores are never there as a whole
    kept, restore = [], loaded.pipeline.restore

    def remembering(data: dict[str, Any]) -> dict[str, Any]:
        kept.append(np.asarray(data[PRED].cpu(), np.float32).copy())
        return restore(data)

    loaded.pipeline.restore = remembering
    return loaded.predict(image), kept[-1]


def _numbers(answer: Answer, scores: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of `NUMBERS`."""
    places = np.unique(np.linspace(0, scores.size - 1, SAMPLES).round().astype(np.int64))
    found: dict[str, npt.NDArray[Any]] = {
        SCORES: scores.ravel()[places],
        SHAPE: np.asarray(scores.shape, np.int64),
    }
    for given in (answer.slices, answer.classes):
        if given is not None:
            found[PROBABILITY] = given.probability.astype(np.float32)
    return found


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    with np.load(path, allow_pickle=False) as content:
        return {name: np.asarray(content[name]) for name in content.files}


def _differences(
    found: Mapping[str, npt.NDArray[Any]], expected: Mapping[str, npt.NDArray[Any]]
) -> dict[str, float]:
    """The largest of each array."""
    shapes = [{name: array.shape for name, array in x.items()} for x in (found, expected)]
    if shapes[0] != shapes[1] or not np.array_equal(found[SHAPE], expected[SHAPE]):
        raise ValueError("the bundle's answer has another form")
    return {name: float(np.max(np.abs(found[name] - expected[name]), initial=0)) for name in found}


def _overlap(answer: Answer, path: Path) -> dict[str, float]:
    """Dice of each label, 1 where neither mask has it; empty for a bundle without a mask."""
    if answer.mask is None:
        return {}
    expected = read_image(path, "mask").array
    if expected.shape != answer.mask.shape:
        raise ValueError("the bundle's mask has another shape")
    regions = {label.name: (label.value,) for label in answer.spec.labels}
    found, other = (torch.from_numpy(x.astype(np.int32)) for x in (answer.mask, expected))
    figures = dice(region_counts(found, other, regions)).nan_to_num(nan=1.0)
    return dict(zip(regions, figures.tolist(), strict=True))


@contextmanager
def _whole(folder: Path) -> Iterator[None]:
    """Refuse a golden case that is not as `make_golden` writes one."""
    try:
        yield
    except (OSError, ValueError, KeyError, IndexError, TypeError, BadZipFile) as error:
        raise InputError(
            "E_BUNDLE", folder, f"the golden case cannot be compared: {error}.",
            "Ask for the bundle again.",
        ) from error  # fmt: skip
