# SPDX-License-Identifier: Apache-2.0
"""Whether a picture is like those that a network was trained on, and whether it lies as they do."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, one_hot

from ..errors import InputError
from ..files import replacing
from ..verified import content_of

SIDE = 32  # pixels of the small picture whose features are taken; finer detail differs by disease
CELLS = 4  # per side of the grid that features are averaged in
DIRECTIONS = 8  # that the grey may rise in, told apart in each cell
FEATURES = CELLS * CELLS * (1 + DIRECTIONS)
SOUND = 0.99  # share of pictures of the training's kind that stay within the limit
FOLDS = 5  # the limit rests on distances of pictures to the others, left out in so many parts
FEWEST = 50  # pictures, below which a share of 1 % says nothing
REVISION = 1  # raise when the arithmetic of the features changes: older files are then refused
FLAT = 1e-6  # standard deviation below which a picture is one value
# how a picture may have to be turned to lie as it should, and the words for it
TURNS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "a quarter turn counterclockwise": lambda x: torch.rot90(x, 1, (-2, -1)),
    "half a turn": lambda x: torch.rot90(x, 2, (-2, -1)),
    "a quarter turn clockwise": lambda x: torch.rot90(x, 3, (-2, -1)),
    "mirroring top to bottom": lambda x: x.flip(-2),
}


@dataclass(frozen=True, eq=False)
class Likeness:
    """What pictures of one kind have in common, so that another kind shows.

    A picture's distance to the kind is Mahalanobis' with a shrunk covariance (Ledoit and Wolf 2004,
    doi 10.1016/S0047-259X(03)00096-4) in features of a picture of 32 x 32 pixels: grey, and in
    which directions it rises (histograms of oriented gradients, Dalal and Triggs 2005, doi
    10.1109/CVPR.2005.177). A picture that does not belong is mostly as far away in any position,
    one that belongs is much nearer than when it is turned (as Golan and El-Yaniv 2018, arXiv
    1805.10917, use it): so the score is log d(x) + (log d(x) - log of the smallest d(turned x)).

    Args:
        mean: (144,) of the features.
        whitening: (144, 144); features minus mean, times this, have the covariance 1.
        limit: highest score of a picture of this kind; mostly 0 to 0.3.

    Raises:
        ValueError: another shape, or a number that is not finite.
    """

    mean: npt.NDArray[np.float32]
    whitening: npt.NDArray[np.float32]
    limit: float

    def __post_init__(self) -> None:
        shapes = (self.mean.shape, self.whitening.shape)
        if shapes != ((FEATURES,), (FEATURES, FEATURES)):
            raise ValueError(f"the shapes are {shapes}; give ({FEATURES},) and its square")
        if not all(np.isfinite(x).all() for x in (self.mean, self.whitening, self.limit)):
            raise ValueError("a number is not finite")

    def distances(self, pictures: Tensor) -> npt.NDArray[np.float64]:
        """Logarithms of the distances of pictures (N, rows, columns) to the kind, (N,)."""
        return _log_distance(features(pictures), self.mean, self.whitening)

    def in_all_positions(self, picture: Tensor) -> npt.NDArray[np.float64]:
        """`distances` of a picture (rows, columns) as it lies, and turned in each of `TURNS`."""
        return _log_distance(features(picture[None])[0][_in_turn()], self.mean, self.whitening)

    def said_of(self, picture: Tensor) -> str:
        """What is odd about a picture, in words; empty where nothing is.

        Args:
            picture: (C, rows, columns), as the network gets it; the mean of its channels counts.
        """
        plain = picture.as_subclass(Tensor)  # a `MetaTensor` takes twice as long
        distance, *turned = self.in_all_positions(plain.mean(0))
        score = score_of(distance, turned)
        if score <= self.limit:
            return ""
        nearest = int(np.argmin(turned))
        how = f"(score {score:.2f}, limit {self.limit:.2f})"
        if score_of(turned[nearest], [distance]) <= self.limit:
            mends = [*TURNS][nearest]
            return f"the picture seems not to lie upright {how}: {mends} would make it so."
        return (
            f"the picture is unlike those that the bundle was trained on {how}: it may be another "
            "view, another part of the body, another kind of image, or a photograph."
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a `.npz` of arrays.

        Raises:
            InputError: E_NOSPACE, it cannot be written.
        """
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, mean=self.mean, whitening=self.whitening,
                     limit=np.float64(self.limit), revision=np.int64(REVISION))  # fmt: skip


def read_likeness(path: str | os.PathLike[str]) -> Likeness:
    """What `Likeness.save` wrote, without running anything that stands in it.

    Raises:
        InputError: E_BUNDLE, it cannot be read, or is of another version; E_CHANGED, see
            `medvol.verified`.
    """
    try:
        with np.load(BytesIO(content_of(path)), allow_pickle=False) as stored:
            found: dict[str, Any] = {name: stored[name] for name in stored.files}
        _check_revision(int(found["revision"]))
        return Likeness(found["mean"], found["whitening"], float(found["limit"]))
    except InputError:
        raise
    except Exception as error:  # zip, NumPy and the system have no common ancestor
        raise InputError(
            "E_BUNDLE", path, f"the statistic of the training's pictures cannot be used: {error}.",
            "Make it again with `medvol bundle record BUNDLE --data DATALIST`, or take it away.",
        ) from error  # fmt: skip


def fit_likeness(training: Tensor, others: Tensor) -> Likeness:
    """What pictures have in common, with a limit that 99 % of such pictures keep.

    The limit is taken over pictures of the training, each compared with the parts that it is not
    in, and over other pictures together.

    Args:
        training: (N, rows, columns), as the network gets them.
        others: (M, rows, columns) that were not trained on, of the same kind; M may be 0.

    Raises:
        ValueError: fewer than 50 pictures to train on.
    """
    if len(training) < FEWEST:
        raise ValueError(f"there are {len(training)} pictures; give at least {FEWEST}")
    small = shrunk(training)
    part = np.random.default_rng(0).permutation(len(small)) % FOLDS
    kept = torch.from_numpy(part)
    scores = [_scores(_fitted(small[kept != p]), small[kept == p]) for p in range(FOLDS)]
    mean, whitening = _fitted(small)
    if len(others):
        scores.append(_scores((mean, whitening), shrunk(others)))
    limit = float(np.quantile(np.concatenate(scores), SOUND))
    return Likeness(mean.astype(np.float32), whitening.astype(np.float32), limit)


def _check_revision(revision: int) -> None:
    if revision != REVISION:
        raise ValueError(f"it has revision {revision}, not {REVISION}")


def shrunk(pictures: Tensor) -> Tensor:
    """Pictures (N, rows, columns) as (N, 32, 32), each pixel the mean of those that go into it."""
    return adaptive_avg_pool2d(pictures.float()[:, None], SIDE)[:, 0]


def features(pictures: Tensor) -> npt.NDArray[np.float64]:
    """Grey, and how much it rises in each direction, in the cells of a grid.

    Args:
        pictures: (N, rows, columns); brightness and contrast do not count.

    Returns:
        (N, 144).

    Example:
        >>> features(torch.arange(32.0).expand(1, 32, 32))[0, 16:24].round(1) + 0
        array([0.3, 0. , 0. , 0. , 0. , 0. , 0. , 0. ])
    """
    small = shrunk(pictures)
    small = small - small.mean((1, 2), keepdim=True)
    small = small / small.std((1, 2), keepdim=True, correction=0).clamp_min(FLAT)
    down, right = torch.gradient(small, dim=(1, 2))
    turn = torch.atan2(down, right) / (2 * torch.pi) * DIRECTIONS % DIRECTIONS
    lower = turn.floor()
    share = (turn - lower)[..., None]  # of the next direction
    length = torch.hypot(down, right)[..., None]
    first = one_hot(lower.long() % DIRECTIONS, DIRECTIONS)
    rising = length * ((1 - share) * first + share * first.roll(1, -1))  # (N, 32, 32, 8)
    grey = adaptive_avg_pool2d(small[:, None], CELLS)
    edges = adaptive_avg_pool2d(rising.movedim(-1, 1), CELLS).sqrt()
    # direction last, so that a cell's histogram lies together
    parts = [grey.flatten(1), edges.movedim(1, -1).flatten(1)]
    return torch.cat(parts, 1).double().numpy()


@cache
def _in_turn() -> npt.NDArray[np.int64]:
    """Which of a picture's features are those of it as it lies, and turned in each of `TURNS`,
    (5, 144): other cells, and other directions."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    angles = torch.arange(DIRECTIONS)[:, None, None] * (2 * torch.pi / DIRECTIONS)
    slopes = angles.sin() * y + angles.cos() * x  # in each direction one
    cells = torch.arange(CELLS * CELLS).reshape(CELLS, CELLS)
    orders = []
    for turn in (torch.clone, *TURNS.values()):
        into = features(turn(slopes))[:, -DIRECTIONS:].argmax(1)  # which direction each becomes
        edges = DIRECTIONS * turn(cells).reshape(-1, 1).numpy() + np.argsort(into)
        orders.append(np.append(turn(cells).flatten(), CELLS * CELLS + edges))
    return np.stack(orders)


def score_of(distance: Any, turned: Any) -> Any:
    """How unlike a picture is: by the logarithms of its distances as it lies, and turned."""
    return 2 * distance - np.min(turned, axis=0)


def _fitted(pictures: Tensor) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and whitening of the features of pictures."""
    from sklearn.covariance import ledoit_wolf

    values = features(pictures)
    covariance, _ = ledoit_wolf(values)
    variance, axes = np.linalg.eigh(covariance)
    return values.mean(0), axes / np.sqrt(variance)


def _scores(
    fitted: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]], pictures: Tensor
) -> npt.NDArray[np.float64]:
    positions = [pictures, *(turn(pictures) for turn in TURNS.values())]
    distance, *turned = (_log_distance(features(x), *fitted) for x in positions)
    scores: npt.NDArray[np.float64] = score_of(distance, turned)
    return scores


def _log_distance(
    values: npt.NDArray[Any], mean: npt.NDArray[Any], whitening: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    far: npt.NDArray[np.float64] = np.log(np.sqrt((((values - mean) @ whitening) ** 2).mean(1)))
    return far
