# SPDX-License-Identifier: Apache-2.0
"""A classifier of radiographs in use: probabilities, batches, refusals, odd bundles."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from PIL import Image
from radiographs import chest_folder, chest_like, save_picture
from refusals import refused_by
from tiny_bundle import quarter_bundle, tiny_bundle, tiny_network, tiny_radiograph_bundle

import medvol
from medvol.answer import Answer, Classes, Refusal
from medvol.tasks.task import Bundle, load_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_radiograph_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def classifier(bundle: Path) -> Bundle:
    return load_bundle(bundle, device="cpu")


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
    said = Classes(("x", "y", "z"), np.float32([0.2, 0.4, 0.4]))
    assert (said.index, said.name, str(said)) == (1, "y", "y 0.40")


def test_a_threshold_decides_between_two_classes() -> None:
    said = Classes(("x", "y"), np.float32([0.7, 0.3]), threshold=0.25)
    assert (said.index, said.name, str(said)) == (1, "y", "y 0.30")
    assert Classes(("x", "y"), np.float32([0.7, 0.3]), threshold=0.35).name == "x"


def test_a_bundle_brings_its_temperature_and_threshold(tmp_path: Path) -> None:
    """Scores 0 and 1.6, divided by 2: 1 / (1 + exp(-0.8)) = 0.689974, which is below 0.7."""
    grey = np.zeros((32, 32), np.uint8)
    grey[:16, 16:] = 51  # 0.2 in the top right quarter
    path = save_picture(tmp_path / "x.png", grey)
    folder = quarter_bundle(tmp_path / "b", 1)
    for name, changes in {
        "inference": {"postprocessing#transforms#1#divisor": 2.0},
        "metadata": {"decision": {"temperature": 2.0, "threshold": 0.7}},
    }.items():
        config = ConfigParser(json.loads((folder / "configs" / f"{name}.json").read_text()))
        config.update(changes)
        (folder / "configs" / f"{name}.json").write_text(json.dumps(config.get()))
    said = load_bundle(folder, device="cpu").predict(path).classes
    np.testing.assert_allclose(said.probability, [0.310026, 0.689974], atol=1e-6)
    assert (said.threshold, str(said)) == (0.7, "normal 0.31")


def test_probabilities_are_the_softmax_of_the_network(classifier: Bundle, tmp_path: Path) -> None:
    greys = [chest_like(seed, (32, 32)) for seed in range(3)]
    paths = [save_picture(tmp_path / f"{seed}.png", grey) for seed, grey in enumerate(greys)]
    said = [classifier.predict(path) for path in paths]
    for path, grey, one in zip(paths, greys, said, strict=True):
        assert (one.image.path, one.classes.names) == (path, ("normal", "pneumonia"))
        assert (one.mask, one.slices, one.measurements) == (None, None, [])
        assert one.classes.probability.dtype == np.float32
        np.testing.assert_allclose(one.classes.probability, expected(grey), atol=2e-6)
    assert len({one.classes.probability[0] for one in said}) == 3  # so the pictures were looked at


def test_the_score_of_a_quarter_worked_by_hand(tmp_path: Path) -> None:
    grey = np.zeros((32, 32), np.uint8)
    grey[:16, 16:] = 51  # 0.2 in the top right quarter
    path = save_picture(tmp_path / "x.png", grey)
    right = load_bundle(quarter_bundle(tmp_path / "b", 1), device="cpu")
    # scores 0 and 8 * 0.2 = 1.6; 1 / (1 + exp(-1.6)) = 0.832018
    np.testing.assert_allclose(
        right.predict(path).classes.probability, [0.167982, 0.832018], atol=1e-6
    )
    left = load_bundle(quarter_bundle(tmp_path / "c", 0), device="cpu")
    assert left.predict(path).classes.probability.tolist() == [0.5, 0.5]
    assert left.predict(path).finding == "normal"  # of equal ones the first


def test_a_radiograph_in_memory(classifier: Bundle) -> None:
    grey = chest_like(0, (32, 32))
    said = classifier.predict((grey, None)).classes
    np.testing.assert_allclose(said.probability, expected(grey), atol=2e-6)
    other = classifier.predict(MetaTensor(torch.from_numpy(grey / np.float32(255))[None]))
    np.testing.assert_allclose(other.classes.probability, said.probability, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_many_are_as_one_by_one(classifier: Bundle, images: list[Path], batch_size: int) -> None:
    many = list(classifier.predict_many(images, batch_size=batch_size))
    assert [said.image.path for said in many] == images
    for said in many:
        alone = classifier.predict(said.image.path)
        np.testing.assert_array_equal(said.classes.probability, alone.classes.probability)


def test_a_refused_image_keeps_its_place(
    classifier: Bundle, images: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes(images[0].read_bytes()[:-200])
    save_picture(tmp_path / "flat.png", np.full((9, 9), 7, np.uint8))
    bad = [tmp_path / name for name in ("empty.png", "cut.png", "no.png", "flat.png")]
    given = [bad[0], images[0], bad[1], bad[2], images[1], bad[3]]
    said = list(classifier.predict_many(map(str, given), batch_size=2))
    refused = [Path(answer.path) for answer in said if isinstance(answer, Refusal)]
    assert refused == [path for path in given if path in bad]
    codes = [answer.error.code if isinstance(answer, Refusal) else "" for answer in said]
    assert codes == ["E_EMPTY", "", "E_TRUNCATED", "E_PATH", "", "E_VALUES"]
    error = refused_by(lambda: classifier.predict(bad[0]), "E_EMPTY")
    assert error.path == str(bad[0])


def test_what_nobody_foresaw_stops_one_image_and_not_the_others(
    bundle: Path, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = load_bundle(bundle, device="cpu")
    read, answered = classifier.task.read, classifier.task.answer

    def odd_read(source: Path, reading: Any) -> Any:
        if source == images[0]:
            raise KeyError("fold")
        return read(source, reading)

    def odd_answer(processed: Any, pipeline: Any) -> Answer:
        if processed.image.path == images[2]:
            raise OSError(116, "Stale file handle", "gone.pt")
        return answered(processed, pipeline)

    monkeypatch.setattr(classifier.task, "read", odd_read)
    monkeypatch.setattr(classifier.task, "answer", odd_answer)
    said = list(classifier.predict_many(images[:4], batch_size=4))
    assert [isinstance(answer, Refusal) for answer in said] == [True, False, True, False]
    first, other = said[0].error, said[2].error
    assert (first.code, first.path) == ("E_FAILED", str(images[0]))
    assert first.reason.startswith("KeyError: 'fold' (at medvol.tasks.cases:")
    assert (other.code, other.path) == ("E_PATH", "gone.pt")


def test_no_images_no_answers(classifier: Bundle) -> None:
    assert list(classifier.predict_many([])) == []
    with pytest.raises(ValueError, match="batch_size is 0; give 1 or more"):
        classifier.predict_many([], batch_size=0)


def test_an_iteration_may_stop_early(classifier: Bundle, images: list[Path]) -> None:
    threads = torch.get_num_threads()
    answers = classifier.predict_many(images * 20, batch_size=2)
    assert isinstance(next(answers), Answer)
    answers.close()  # type: ignore[attr-defined]
    assert torch.get_num_threads() == threads
    assert len(list(classifier.predict_many(images))) == len(images)


def test_notes_say_how_it_was_read(classifier: Bundle, images: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 3  # lies upside down
    Image.fromarray(chest_like(0)[::-1, ::-1]).save(path, exif=exif)
    turned, upright = classifier.predict_many([path, images[0]])
    assert isinstance(turned, Answer)
    assert isinstance(upright, Answer)
    assert [note.code for note in turned.notes] == ["N_EXIF"]
    assert upright.notes == ()
    np.testing.assert_array_equal(turned.classes.probability, upright.classes.probability)


def test_bf16_is_near(bundle: Path, images: list[Path], classifier: Bundle) -> None:
    less = load_bundle(bundle, device="cpu", precision="bf16")
    assert (less.pipeline.precision, classifier.pipeline.precision) == ("bf16", "fp32")
    near, exact = (x.predict(images[0]).classes.probability for x in (less, classifier))
    np.testing.assert_allclose(near, exact, atol=0.02)
    assert not np.array_equal(near, exact)


def test_load_bundle_gives_what_runs_it(bundle: Path, tmp_path: Path) -> None:
    volumes = tiny_bundle(tmp_path / "volumes")
    loaded = [medvol.load_bundle(folder, device="cpu") for folder in (bundle, volumes)]
    assert [type(one) for one in loaded] == [Bundle, Bundle]
    assert [one.spec.task for one in loaded] == ["radiographs", "volumes"]
    error = refused_by(lambda: medvol.load_bundle(bundle, gate=0.5), "E_BUNDLE")
    assert "no gate" in error.reason
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
        ({"postprocessing#transforms": []}, "not give probabilities that add up to 1"),
        ({"postprocessing#transforms#1": {"_target_": "AsDiscreted", "keys": "pred",
                                          "argmax": True}}, "names 2 classes"),
        ({"postprocessing#transforms#1#keys": "prediction"}, "its postprocessing failed"),
        ({"preprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "medvol.images.reader.load_imaged", "keys": "image",
             "kind": "radiograph"}]}},
         "its network failed"),
    ],
)  # fmt: skip
def test_a_bundle_that_gives_no_probabilities(
    tmp_path: Path, images: list[Path], changes: dict[str, Any], reason: str
) -> None:
    odd = load_bundle(tiny_radiograph_bundle(tmp_path / "b", changes), device="cpu")
    assert reason in refused_by(lambda: odd.predict(images[0]), "E_BUNDLE").reason


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    state = tiny_network().state_dict()
    state["head.1.bias"].fill_(float("nan"))
    bundle = tiny_radiograph_bundle(tmp_path / "b", weights=state)
    refusal = refused_by(lambda: load_bundle(bundle), "E_BUNDLE")
    assert refusal.reason == "the weights hold NaN in head.1.bias."


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
    stock = load_bundle(made, device="cpu")
    said = stock.predict(save_picture(tmp_path / "x.png", grey))
    error = refused_by(lambda: stock.predict((grey, None)), "E_BUNDLE")
    assert "reads its images itself" in error.reason
    np.testing.assert_allclose(said.classes.probability, [0.167982, 0.832018], atol=1e-6)
    assert said.notes == ()
