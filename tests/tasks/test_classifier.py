# SPDX-License-Identifier: Apache-2.0
"""A classifier of radiographs in use: probabilities, batches, refusals, odd bundles."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from refusals import refused_by
from tiny_bundle import tiny_bundle
from tiny_radiographs import (
    chest_folder,
    chest_like,
    quarter_bundle,
    save,
    tiny_network,
    tiny_radiograph_bundle,
)

import medvol
from medvol.bundle.description import Description, describe
from medvol.tasks.classifier import ImageClassifier, Prediction, Refusal
from medvol.tasks.predictor import Predictor


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_radiograph_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def classifier(bundle: Path) -> ImageClassifier:
    return ImageClassifier(describe(bundle), device="cpu")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return chest_folder(tmp_path_factory.mktemp("images"))


def expected(grey: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Softmax of the tiny network on a picture of 32 x 32, by the words of the chain."""
    values = torch.from_numpy(grey.astype(np.float32) / 255)
    normal = (values - values.mean()) / values.std(correction=0)
    with torch.no_grad():
        scores = tiny_network()(normal[None, None])[0].double()
    return (scores.exp() / scores.exp().sum()).numpy()


def test_a_prediction_names_the_most_probable_class() -> None:
    said = Prediction(Path("a"), ("x", "y", "z"), np.float32([0.2, 0.4, 0.4]))
    assert (said.index, said.name, said.notes) == (1, "y", ())


def test_probabilities_are_the_softmax_of_the_network(
    classifier: ImageClassifier, tmp_path: Path
) -> None:
    greys = [chest_like(seed, (32, 32)) for seed in range(3)]
    paths = [save(tmp_path / f"{seed}.png", grey) for seed, grey in enumerate(greys)]
    said = [classifier.predict(path) for path in paths]
    for path, grey, one in zip(paths, greys, said, strict=True):
        assert (one.path, one.names) == (path, ("normal", "pneumonia"))
        assert one.probability.dtype == np.float32
        np.testing.assert_allclose(one.probability, expected(grey), atol=2e-6)
    assert len({one.probability[0] for one in said}) == 3  # so the pictures were looked at


def test_the_score_of_a_quarter_worked_by_hand(tmp_path: Path) -> None:
    grey = np.zeros((32, 32), np.uint8)
    grey[:16, 16:] = 51  # 0.2 in the top right quarter
    path = save(tmp_path / "x.png", grey)
    right = ImageClassifier(describe(quarter_bundle(tmp_path / "b", 1)), device="cpu")
    # scores 0 and 8 * 0.2 = 1.6; 1 / (1 + exp(-1.6)) = 0.832018
    np.testing.assert_allclose(right.predict(path).probability, [0.167982, 0.832018], atol=1e-6)
    left = ImageClassifier(describe(quarter_bundle(tmp_path / "c", 0)), device="cpu")
    assert left.predict(path).probability.tolist() == [0.5, 0.5]
    assert left.predict(path).name == "normal"  # of equal ones the first


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_many_are_as_one_by_one(
    classifier: ImageClassifier, images: list[Path], batch_size: int
) -> None:
    many = list(classifier.predict_many(images, batch_size=batch_size))
    assert [said.path for said in many] == images
    for said in many:
        alone = classifier.predict(said.path)
        np.testing.assert_array_equal(said.probability, alone.probability)


def test_a_refused_image_keeps_its_place(
    classifier: ImageClassifier, images: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes(images[0].read_bytes()[:-200])
    save(tmp_path / "flat.png", np.full((9, 9), 7, np.uint8))
    bad = [tmp_path / name for name in ("empty.png", "cut.png", "no.png", "flat.png")]
    given = [bad[0], images[0], bad[1], bad[2], images[1], bad[3]]
    said = list(classifier.predict_many(map(str, given), batch_size=2))
    assert [answer.path for answer in said] == given
    codes = [answer.error.code if isinstance(answer, Refusal) else "" for answer in said]
    assert codes == ["E_EMPTY", "", "E_TRUNCATED", "E_PATH", "", "E_VALUES"]
    error = refused_by(lambda: classifier.predict(bad[0]), "E_EMPTY")
    assert error.path == str(bad[0])


def test_no_images_no_answers(classifier: ImageClassifier) -> None:
    assert list(classifier.predict_many([])) == []
    with pytest.raises(ValueError, match="batch_size is 0; give 1 or more"):
        classifier.predict_many([], batch_size=0)


def test_an_iteration_may_stop_early(classifier: ImageClassifier, images: list[Path]) -> None:
    threads = torch.get_num_threads()
    answers = classifier.predict_many(images * 20, batch_size=2)
    assert isinstance(next(answers), Prediction)
    answers.close()  # type: ignore[attr-defined]
    assert torch.get_num_threads() == threads
    assert len(list(classifier.predict_many(images))) == len(images)


def test_notes_say_how_it_was_read(
    classifier: ImageClassifier, images: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 3  # lies upside down
    Image.fromarray(chest_like(0)[::-1, ::-1]).save(path, exif=exif)
    turned, upright = classifier.predict_many([path, images[0]])
    assert isinstance(turned, Prediction)
    assert isinstance(upright, Prediction)
    assert [note.split()[0] for note in turned.notes] == ["N_EXIF"]
    assert upright.notes == ()
    np.testing.assert_array_equal(turned.probability, upright.probability)


def test_bf16_is_near(bundle: Path, images: list[Path], classifier: ImageClassifier) -> None:
    less = ImageClassifier(describe(bundle), device="cpu", precision="bf16")
    assert (less.precision, classifier.precision) == ("bf16", "fp32")
    near, exact = less.predict(images[0]).probability, classifier.predict(images[0]).probability
    np.testing.assert_allclose(near, exact, atol=0.02)
    assert not np.array_equal(near, exact)


def test_load_bundle_gives_what_runs_it(bundle: Path, tmp_path: Path) -> None:
    assert isinstance(medvol.load_bundle(bundle, device="cpu"), ImageClassifier)
    volumes = tiny_bundle(tmp_path / "volumes")
    assert isinstance(medvol.load_bundle(volumes, device="cpu"), Predictor)
    error = refused_by(lambda: medvol.load_bundle(bundle, gate=0.5), "E_BUNDLE")
    assert "no gate" in error.reason
    error = refused_by(lambda: Predictor(describe(bundle)), "E_BUNDLE")
    assert "radiographs" in error.reason
    with pytest.raises(ValueError, match="device is 'tpu'"):
        medvol.load_bundle(bundle, device="tpu")


def test_weights_of_another_chain_are_refused(tmp_path: Path) -> None:
    other = tiny_radiograph_bundle(tmp_path / "b", metadata={"chain_fingerprint": "0" * 16})
    assert (
        "trained behind chain" in refused_by(lambda: medvol.load_bundle(other), "E_BUNDLE").reason
    )


def test_weights_that_are_missing(tmp_path: Path) -> None:
    made = tiny_radiograph_bundle(tmp_path / "b")
    (made / "models" / "model.pt").unlink()
    refused_by(lambda: medvol.load_bundle(made), "E_BUNDLE")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"postprocessing#transforms": []}, "no probabilities that add up to 1"),
        ({"postprocessing#transforms#0": {"_target_": "AsDiscreted", "keys": "pred",
                                          "argmax": True}}, "names 2 classes"),
        ({"postprocessing#transforms#0#keys": "prediction"}, "its postprocessing failed"),
        ({"preprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "medvol.images.reader.load_imaged", "keys": "image",
             "kind": "radiograph"}]}},
         "its network failed"),
    ],
)  # fmt: skip
def test_a_bundle_that_gives_no_probabilities(
    tmp_path: Path, images: list[Path], changes: dict[str, Any], reason: str
) -> None:
    odd = ImageClassifier(describe(tiny_radiograph_bundle(tmp_path / "b", changes)), device="cpu")
    assert reason in refused_by(lambda: odd.predict(images[0]), "E_BUNDLE").reason


def test_weights_that_are_no_numbers(tmp_path: Path, images: list[Path]) -> None:
    state = tiny_network().state_dict()
    state["head.1.bias"].fill_(float("nan"))
    broken = ImageClassifier(describe(tiny_radiograph_bundle(tmp_path / "b", weights=state)))
    assert "add up to 1" in refused_by(lambda: broken.predict(images[0]), "E_BUNDLE").reason


def test_a_bundle_of_stock_parts(tmp_path: Path) -> None:
    """MONAI's own reader gives columns first and grey to 255; the bundle's chain knows that."""
    steps = [
        {"_target_": "LoadImaged", "keys": "image", "reader": "PILReader"},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},
        {"_target_": "Resized", "keys": "image", "spatial_size": [32, 32]},
        {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": 0, "a_max": 255,
         "b_min": 0, "b_max": 1},
    ]  # fmt: skip
    made = quarter_bundle(tmp_path / "b", quarter=2)  # bottom left of the turned picture
    path = made / "configs" / "inference.json"
    config = json.loads(path.read_text())
    config["preprocessing"] = {"_target_": "Compose", "transforms": steps}
    path.write_text(json.dumps(config))
    grey = np.zeros((32, 32), np.uint8)
    grey[:16, 16:] = 51
    said = ImageClassifier(describe(made), device="cpu").predict(save(tmp_path / "x.png", grey))
    np.testing.assert_allclose(said.probability, [0.167982, 0.832018], atol=1e-6)
    assert said.notes == ()


def test_classes_and_modality_of_a_description(bundle: Path) -> None:
    made = describe(bundle)
    assert made.takes_radiographs
    assert made.classes == ("normal", "pneumonia")
    assert not describe("covid_ct_slice_classifier").takes_radiographs


@pytest.mark.parametrize(
    "channels", [None, {}, {"0": "one"}, {"1": "a", "2": "b"}, {"0": "a", "1": "a"}, ["a", "b"]]
)
def test_classes_that_are_not_named(tmp_path: Path, channels: Any) -> None:
    pred = {} if channels is None else {"channel_def": channels}
    metadata = {"network_data_format": {"outputs": {"pred": pred}}}
    refused_by(lambda: Description(tmp_path, metadata).classes, "E_BUNDLE")


@pytest.mark.parametrize(
    ("modality", "takes"),
    [("XR", True), ("CR", True), ("DX", True), ("CT", False), ("MR", False), (None, False)],
)
def test_modalities_of_radiographs(tmp_path: Path, modality: str | None, takes: bool) -> None:
    metadata = {"network_data_format": {"inputs": {"image": {"modality": modality}}}}
    assert Description(tmp_path, metadata).takes_radiographs is takes
