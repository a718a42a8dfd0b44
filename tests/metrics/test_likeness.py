# SPDX-License-Identifier: Apache-2.0
"""Pictures of one kind keep the limit; turned ones and others do not, and are told apart."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from radiographs import upright_chest
from refusals import refused_by
from torch import Tensor

from medvol.metrics.likeness import (
    FEWEST,
    TURNS,
    Likeness,
    features,
    fit_likeness,
    read_likeness,
    score_of,
    shrunk,
)


def chests(first: int, number: int) -> Tensor:
    return torch.stack(
        [torch.from_numpy(upright_chest(seed)) for seed in range(first, first + number)]
    )


@pytest.fixture(scope="module")
def kind() -> Likeness:
    return fit_likeness(chests(0, 120), chests(120, 60))


def test_of_new_pictures_of_the_kind_few_are_remarked_on(kind: Likeness) -> None:
    said = [kind.said_of(picture[None]) for picture in chests(1000, 100)]
    assert sum(map(bool, said)) <= 4  # the limit lets 99 of 100 pass


@pytest.mark.parametrize("words", TURNS)
def test_a_turned_picture_is_named_with_the_turn_that_mends_it(kind: Likeness, words: str) -> None:
    back = {"a quarter turn counterclockwise": "a quarter turn clockwise",
            "a quarter turn clockwise": "a quarter turn counterclockwise"}  # fmt: skip
    said = [kind.said_of(TURNS[words](picture)[None]) for picture in chests(1000, 20)]
    assert all("not to lie upright" in text for text in said)
    mends = back.get(words, words)
    upright = ["half a turn", "mirroring top to bottom"]  # a chest is alike on both sides
    assert all(any(x in text for x in (upright if mends in upright else [mends])) for text in said)


def test_another_kind_of_picture_is_said_to_be_one(kind: Likeness) -> None:
    random = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 40), torch.linspace(-1, 1, 40), indexing="ij")
    others = [torch.randn(40, 40, generator=random), x * y, (x**2 + y**2 < 0.5).float(),
              torch.zeros(40, 40)]  # fmt: skip
    for picture in others:
        assert "unlike those that the bundle was trained on" in kind.said_of(picture[None])


def test_the_limit_is_the_last_score_that_passes(kind: Likeness) -> None:
    picture = torch.rand(40, 40, generator=torch.Generator().manual_seed(1))
    distance, *turned = kind.in_all_positions(picture)
    score = float(score_of(distance, turned))
    at = Likeness(kind.mean, kind.whitening, score)
    assert at.said_of(picture[None]) == ""
    below = Likeness(kind.mean, kind.whitening, np.nextafter(score, -np.inf))
    assert f"(score {score:.2f}, limit {score:.2f})" in below.said_of(picture[None])


def test_brightness_contrast_and_size_do_not_count(kind: Likeness) -> None:
    picture = torch.from_numpy(upright_chest(7, 64))
    large = picture.repeat_interleave(3, 0).repeat_interleave(3, 1)
    for other in (picture * 40 + 9, large):
        np.testing.assert_allclose(
            kind.in_all_positions(other), kind.in_all_positions(picture), atol=1e-3
        )


def test_features_worked_by_hand() -> None:
    ramp = torch.arange(32.0).expand(1, 32, 32)  # grey rises to the right, by 1 a pixel
    step = 1 / np.arange(32).std()
    columns = (np.array([3.5, 11.5, 19.5, 27.5]) - 15.5) * step
    for turned, direction in ((ramp, 0), (ramp.mT, 2), (ramp.flip(-1), 4), (ramp.mT.flip(-2), 6)):
        values = features(turned)[0]
        edges = values[16:].reshape(16, 8)
        np.testing.assert_allclose(edges[:, direction], np.sqrt(step), rtol=1e-5)
        assert np.abs(np.delete(edges, direction, axis=1)).max() < 1e-3
    np.testing.assert_allclose(features(ramp)[0, :16], np.tile(columns, 4), rtol=1e-5)
    assert np.abs(features(torch.full((1, 5, 7), 3.0))).max() == 0


def test_a_picture_is_looked_at_in_all_positions(kind: Likeness) -> None:
    picture = torch.from_numpy(upright_chest(1000, 50))
    small = shrunk(picture[None])[0]
    turned = torch.stack([small, *(turn(small) for turn in TURNS.values())])
    found = kind.in_all_positions(picture)
    np.testing.assert_allclose(found, kind.distances(turned), rtol=1e-4)
    assert len(set(found.round(3))) == 5


def test_a_small_picture_is_the_mean_of_what_goes_into_a_pixel() -> None:
    picture = torch.arange(64.0 * 96).reshape(1, 64, 96)
    assert shrunk(picture)[0, 0, 0] == (0 + 1 + 2 + 96 + 97 + 98) / 6
    assert torch.equal(shrunk(shrunk(picture)), shrunk(picture))


def test_it_is_read_as_it_was_written_and_small(kind: Likeness, tmp_path: Path) -> None:
    kind.save(tmp_path / "likeness.npz")
    read = read_likeness(tmp_path / "likeness.npz")
    assert (read.mean == kind.mean).all()
    assert (read.whitening == kind.whitening).all()
    assert read.limit == kind.limit
    assert (tmp_path / "likeness.npz").stat().st_size < 100_000


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"revision": np.int64(0)}, "revision 0, not 1"),
        ({"mean": np.zeros(3, np.float32)}, "shapes"),
        ({"limit": np.float64(np.nan)}, "not finite"),
        ({"mean": np.array([{}] * 144, dtype=object)}, "allow_pickle"),
        ({"revision": None}, "revision"),
    ],
)
def test_another_file_is_refused(
    kind: Likeness, tmp_path: Path, changed: dict[str, object], words: str
) -> None:
    path = tmp_path / "likeness.npz"
    content = {"mean": kind.mean, "whitening": kind.whitening, "limit": kind.limit, "revision": 1}
    content = {name: x for name, x in {**content, **changed}.items() if x is not None}
    np.savez(path, **content)
    error = refused_by(lambda: read_likeness(path), "E_BUNDLE")
    assert error.path == str(path)
    assert words in error.reason


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    made = io.BytesIO()
    np.savez(made, mean=np.zeros(144))
    (tmp_path / "likeness.npz").write_bytes(made.getvalue()[:-9])
    error = refused_by(lambda: read_likeness(tmp_path / "likeness.npz"), "E_BUNDLE")
    assert "medvol bundle record" in error.remedy


def test_few_pictures_say_too_little() -> None:
    fit_likeness(chests(0, FEWEST), torch.empty(0, 40, 40))
    with pytest.raises(ValueError, match=f"there are {FEWEST - 1} pictures"):
        fit_likeness(chests(0, FEWEST - 1), torch.empty(0, 40, 40))
