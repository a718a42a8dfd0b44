# SPDX-License-Identifier: Apache-2.0
"""Maps of attention: on the quarter that decides, on the image's own grid, by both methods."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from radiographs import chest_like, save_picture
from refusals import refused_by
from tiny_bundle import QUARTERS, quarter_bundle, tiny_radiograph_bundle

from medvol.engine.attention import METHODS, AttentionMaps, grad_cam, last_feature_map, occlusion
from medvol.images import read_image
from medvol.networks.residual_classifier import ResidualClassifier
from medvol.tasks.task import Bundle, load_bundle

each_method = pytest.mark.parametrize("method", METHODS)


def radiograph(path: Path) -> Any:
    return read_image(path, "radiograph")


def classifier(folder: Path) -> Bundle:
    return load_bundle(folder, device="cpu")


def maps_of(bundle: Bundle, method: str = "grad-cam") -> AttentionMaps:
    return AttentionMaps(bundle.pipeline, method=method)


def quarters(heat: np.ndarray[Any, Any]) -> list[float]:
    """Mean of each quarter: top left, top right, bottom left, bottom right."""
    rows, columns = heat.shape[0] // 2, heat.shape[1] // 2
    parts = (
        heat[:rows, :columns],
        heat[:rows, columns:],
        heat[rows:, :columns],
        heat[rows:, columns:],
    )
    return [float(part.mean()) for part in parts]


@each_method
@pytest.mark.parametrize("quarter", range(4))
def test_the_quarter_that_decides_is_marked(tmp_path: Path, method: str, quarter: int) -> None:
    """Score: the mean of one quarter, which alone is bright, of a picture taller than wide."""
    grey = np.full((90, 60), 10, np.uint8)
    top, left = 45 * (quarter // 2), 30 * (quarter % 2)
    grey[top : top + 45, left : left + 30] = 200
    path = save_picture(tmp_path / "x.png", grey)
    maps = AttentionMaps(
        classifier(quarter_bundle(tmp_path / "b", quarter)).pipeline, method=method
    )
    heat = maps(radiograph(path))
    assert (heat.shape, heat.dtype) == ((90, 60), np.float32)
    assert heat.min() >= 0
    means = quarters(heat)
    assert means[quarter] > 10 * max(m for k, m in enumerate(means) if k != quarter)
    if method == "grad-cam":
        assert heat.max() == 1


@pytest.fixture
def padded(tmp_path: Path) -> tuple[Bundle, Path]:
    """A wide picture, bright on the right, in the middle of a square whose top right decides."""
    grey = np.full((40, 120), 30, np.uint8)
    grey[:, 60:] = 220
    folder = quarter_bundle(tmp_path / "b", quarter=1)
    config = folder / "configs" / "inference.json"
    config.write_text(config.read_text().replace('"keep_aspect": false', '"keep_aspect": true', 1))
    return classifier(folder), save_picture(tmp_path / "x.png", grey)


def test_padding_is_taken_off_grad_cam(padded: tuple[Bundle, Path]) -> None:
    """Its weights have no place, so it marks what is bright: all of the right, to the edges."""
    heat = maps_of(padded[0])(radiograph(padded[1]))
    assert heat.shape == (40, 120)
    assert heat[:, 66:].min() > 0.9  # lines of the padding would be 0
    assert heat[:, :54].max() < 0.2


def test_padding_is_taken_off_occlusion(padded: tuple[Bundle, Path]) -> None:
    heat = maps_of(padded[0], "occlusion")(radiograph(padded[1]))
    assert heat.shape == (40, 120)
    top_left, top_right, bottom_left, bottom_right = quarters(heat)
    assert top_right > 5 * max(top_left, bottom_left, bottom_right)


def test_grad_cam_worked_by_hand() -> None:
    """One channel a = 2 x, score 4 * mean(a): the weight is 4 / 4 pixels, so the map is 2 x."""
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1, bias=False),
                                  torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
                                  torch.nn.Linear(1, 2, bias=False))  # fmt: skip
    with torch.no_grad():
        network[0].weight.fill_(2.0)
        network[3].weight.copy_(torch.tensor([[-4.0], [4.0]]))
    picture = torch.tensor([[[[0.0, 1.0], [3.0, -1.0]]]])
    assert grad_cam(network, picture, index=1, layer="0").tolist() == [[0.0, 2.0], [6.0, 0.0]]
    # for the other class the weight is -1: what is below 0 speaks for it
    assert grad_cam(network, picture, index=0, layer="0").tolist() == [[0.0, 0.0], [0.0, 2.0]]


def test_occlusion_worked_by_hand() -> None:
    """Scores 0 and the first pixel, 2; the mean of the picture is 0.5, in patches of one pixel."""

    class FirstPixel(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([torch.zeros(len(x)), x[:, 0, 0, 0]], 1)

    picture = torch.zeros(1, 1, 2, 2)
    picture[0, 0, 0, 0] = 2.0
    heat = occlusion(FirstPixel(), picture, index=1)
    # 1 / (1 + exp(-2)) - 1 / (1 + exp(-0.5)) = 0.880797 - 0.622459
    np.testing.assert_allclose(heat, [[0.258338, 0.0], [0.0, 0.0]], atol=1e-6)
    assert occlusion(FirstPixel(), picture, index=0).max() == 0  # hiding it makes class 0 likelier


def test_nothing_speaks_for_a_class(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "x.png", chest_like(0))
    maps = maps_of(classifier(quarter_bundle(tmp_path / "b")))
    assert maps(radiograph(path), 1).max() == 1
    assert maps(radiograph(path), 0).max() == 0  # its score is 0 whatever the picture


@each_method
def test_a_residual_network_frozen_or_not(tmp_path: Path, method: str) -> None:
    path = save_picture(tmp_path / "x.png", chest_like(0, (48, 40)))
    made = classifier(tiny_radiograph_bundle(tmp_path / "b"))
    free = maps_of(made, method)(radiograph(path))
    assert free.shape == (48, 40)
    assert 0 <= free.min() <= free.max() <= 1
    made.pipeline.network.freeze_body()
    np.testing.assert_array_equal(maps_of(made, method)(radiograph(path)), free)


def test_the_classifier_is_left_as_it_was(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "x.png", chest_like(0))
    made = classifier(tiny_radiograph_bundle(tmp_path / "b"))
    before = made.predict(path).classes.probability
    maps = maps_of(made)
    np.testing.assert_array_equal(maps(radiograph(path)), maps(radiograph(path)))
    assert not any(layer._forward_hooks for layer in made.pipeline.network.modules())
    assert all(weight.grad is None for weight in made.pipeline.network.parameters())
    np.testing.assert_array_equal(made.predict(path).classes.probability, before)


def test_the_class_that_is_asked_for(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "x.png", chest_like(0))
    made = classifier(tiny_radiograph_bundle(tmp_path / "b"))
    maps, answer = maps_of(made), made.predict(path).classes.index
    np.testing.assert_array_equal(maps(radiograph(path)), maps(radiograph(path), answer))
    assert not np.array_equal(maps(radiograph(path)), maps(radiograph(path), 1 - answer))
    with pytest.raises(ValueError, match="index is 2; give 0 to 1"):
        maps(radiograph(path), 2)


def test_the_last_layer_with_a_picture() -> None:
    assert (
        last_feature_map(ResidualClassifier(1, 2, width=4), torch.zeros(1, 1, 32, 32))
        == "body.layer4"
    )
    conv = torch.nn.Conv2d(1, 1, 1)
    squeezed = torch.nn.Sequential(  # the last convolution sees one pixel only
        conv, torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Conv2d(1, 2, 1),
        torch.nn.Flatten(),
    )  # fmt: skip
    assert last_feature_map(squeezed, torch.zeros(1, 1, 8, 8)) == "0"
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    assert last_feature_map(flat, torch.zeros(1, 1, 8, 8)) is None


def test_a_network_without_feature_maps(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "x.png", chest_like(0))
    linear = "$torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(1024, 2))"
    weights = {"1.weight": torch.ones(2, 1024), "1.bias": torch.zeros(2)}
    made = tiny_radiograph_bundle(tmp_path / "b", {"network_def": linear}, weights=weights)
    error = refused_by(lambda: maps_of(classifier(made))(radiograph(path)), "E_BUNDLE")
    assert "occlusion" in error.remedy
    assert maps_of(classifier(made), "occlusion")(radiograph(path)).max() == 0


def test_refusals(tmp_path: Path) -> None:
    made = classifier(quarter_bundle(tmp_path / "b"))
    with pytest.raises(ValueError, match="method is 'cam'; give one of grad-cam, occlusion"):
        maps_of(made, "cam")
    steps = [{"_target_": "LoadImaged", "keys": "image", "ensure_channel_first": True},
             {"_target_": "Resized", "keys": "image", "spatial_size": [32, 32]}]  # fmt: skip
    stock = tiny_radiograph_bundle(
        tmp_path / "stock",
        {"preprocessing": {"_target_": "Compose", "transforms": steps}, "network_def": QUARTERS},
        weights=torch.load(tmp_path / "b" / "models" / "model.pt"),
    )
    error = refused_by(lambda: maps_of(classifier(stock)), "E_BUNDLE")
    assert "chain is not medvol's" in error.reason
