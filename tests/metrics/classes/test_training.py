# SPDX-License-Identifier: Apache-2.0
"""Figures of image classifiers by hand, and as key metric of an evaluator."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import DataLoader, Dataset
from monai.data.meta_tensor import MetaTensor
from monai.engines import SupervisedEvaluator
from torch import nn

from medvol.metrics.classes.figures import (
    FIGURES,
    accuracy,
    balanced_accuracy,
    log_likelihood,
    macro_auc,
)
from medvol.metrics.classes.training import (
    ImageClassFigure,
    ImageClassMetric,
    SliceAUC,
    SliceScores,
    log_odds,
    scores_and_classes,
)

# 5 images of 3 classes; the most probable are 0, 0, 1, 2, 1
PROBABILITY = np.array(
    [[0.8, 0.1, 0.1], [0.5, 0.25, 0.25], [0.2, 0.6, 0.2], [0.25, 0.25, 0.5], [0.4, 0.5, 0.1]]
)
TRUTH = np.array([0, 0, 1, 2, 0])


def test_figures_by_hand() -> None:
    assert accuracy(PROBABILITY, TRUTH) == pytest.approx(4 / 5)
    assert balanced_accuracy(PROBABILITY, TRUTH) == pytest.approx((2 / 3 + 1 + 1) / 3)
    # class 0: 0.8, 0.5, 0.4 over 0.2, 0.25: all 6 pairs; class 1: 0.6 over all four; so is 2
    assert macro_auc(PROBABILITY, TRUTH) == 1
    expected = (math.log(0.8) + math.log(0.5) + math.log(0.6) + math.log(0.5) + math.log(0.4)) / 5
    assert log_likelihood(PROBABILITY, TRUTH) == pytest.approx(expected)


def test_auc_is_the_mean_over_classes() -> None:
    """Class 0: positives 0.8, 0.4 against 0.5, 0.2, 0.25: 5 of 6 pairs.
    Class 1: positives 0.25, 0.6 against 0.1, 0.25, 0.5: 0.25 wins 1 and ties 1, 0.6 wins 3: 4.5.
    Class 2: 0.5 wins all 4.
    """
    truth = np.array([0, 1, 1, 2, 0])
    assert macro_auc(PROBABILITY, truth) == pytest.approx((5 / 6 + 4.5 / 6 + 1) / 3)


def test_classes_that_do_not_occur_are_left_out() -> None:
    two = PROBABILITY[[0, 2]]
    assert macro_auc(two, np.array([0, 1])) == 1
    assert balanced_accuracy(two, np.array([0, 1])) == 1
    assert math.isnan(macro_auc(two, np.array([1, 1])))


def test_a_probability_of_zero_has_an_end() -> None:
    assert log_likelihood(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(math.log(1e-7))


@pytest.mark.parametrize("figure", FIGURES)
def test_batches_are_pooled(figure: str) -> None:
    metric = ImageClassFigure(figure)
    for part in (slice(0, 2), slice(2, 5)):
        metric(y_pred=torch.tensor(PROBABILITY[part]), y=torch.tensor(TRUTH[part]))
    assert float(metric.aggregate()) == pytest.approx(FIGURES[figure](PROBABILITY, TRUTH))


def test_labels_come_as_numbers_or_as_tensors() -> None:
    output = [
        {"pred": torch.tensor([0.5, 0.5]), "label": 1},
        {"pred": torch.tensor([0.1, 0.9]), "label": torch.tensor([0.0])},
    ]
    scores, classes = scores_and_classes(output)
    assert scores.tolist() == pytest.approx(np.array([[0.5, 0.5], [0.1, 0.9]]))
    assert classes.tolist() == [1, 0]
    assert classes.device == scores.device
    elsewhere = [{"pred": item["pred"].to("meta"), "label": 1} for item in output]
    assert {x.device.type for x in scores_and_classes(elsewhere)} == {"meta"}


@pytest.mark.parametrize("label", [int, torch.tensor, lambda x: np.int64(x)])
def test_as_key_metric_of_an_evaluator(label: Any) -> None:
    items = [
        {"image": torch.tensor(p).log().float(), "label": label(int(t))}
        for p, t in zip(PROBABILITY, TRUTH, strict=True)
    ]

    def softmax(item: dict[str, Any]) -> dict[str, Any]:
        return {**item, "pred": item["pred"].softmax(0)}

    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(items), batch_size=2),
        network=nn.Identity(),
        postprocessing=softmax,
        key_val_metric={"accuracy": ImageClassMetric("accuracy")},
        additional_metrics={
            "auc": ImageClassMetric("auc"), "log_likelihood": ImageClassMetric("log_likelihood"),
        },
    )  # fmt: skip
    evaluator.run()
    assert evaluator.state.best_metric == pytest.approx(0.8)
    assert evaluator.state.metrics == pytest.approx(
        {
            "accuracy": 0.8,
            "auc": 1.0,
            "log_likelihood": log_likelihood(PROBABILITY, TRUTH),
        }
    )


def test_another_figure_is_refused() -> None:
    with pytest.raises(ValueError, match="'loss'; give one of accuracy, balanced_accuracy, auc"):
        ImageClassMetric("loss")
    with pytest.raises(ValueError, match="ImageClassFigure needs the truth"):
        ImageClassFigure("auc")(y_pred=torch.zeros(1, 2))


def test_the_metric_attaches_to_any_engine() -> None:
    engine = Engine(lambda _, batch: batch)
    ImageClassMetric("accuracy").attach(engine, "accuracy")
    pairs = zip(PROBABILITY, TRUTH, strict=True)
    items = [{"pred": torch.tensor(p), "label": int(t)} for p, t in pairs]
    engine.run([items[:3], items[3:]])
    assert engine.state.metrics["accuracy"] == pytest.approx(0.8)
    assert not hasattr(engine.state, "metric_details")  # figures of single images are not kept


def probabilities(*positive: float) -> torch.Tensor:
    """(2, Z)."""
    return torch.tensor([[1 - p for p in positive], list(positive)])


def test_slices_of_all_volumes_are_ranked_together() -> None:
    """Positives 0.6 and 0.9, negatives 0.7 and 0.1: three of four pairs stand right."""
    metric = SliceAUC()
    metric([probabilities(0.6, 0.7)], [torch.tensor([2, 0])])
    metric([probabilities(0.9, 0.1)], [torch.tensor([1, 0])])
    assert metric.aggregate().item() == 0.75


def test_a_slice_with_a_little_lesion_is_left_out() -> None:
    metric = SliceAUC(smallest=50.0)
    metric([probabilities(0.6, 0.9, 0.1)], [torch.tensor([50.0, 49.0, 0.0])])
    assert metric.aggregate().item() == 1.0


def test_one_kind_of_slices_has_no_auc() -> None:
    metric = SliceAUC()
    metric([probabilities(0.6, 0.9)], [torch.tensor([0, 0])])
    assert math.isnan(metric.aggregate().item())


def test_truth_is_needed() -> None:
    with pytest.raises(ValueError, match="SliceAUC needs the truth"):
        SliceAUC()([probabilities(0.6)])


def of_odds(*odds: float) -> torch.Tensor:
    """(2, Z) whose log odds are these."""
    return torch.tensor([[-x / 2 for x in odds], [x / 2 for x in odds]]).softmax(0)


def test_log_odds_of_sure_slices_are_not_cut_off() -> None:
    odds = log_odds(of_odds(2.0, -3.0, 40.0, -60.0))
    torch.testing.assert_close(odds, torch.tensor([2.0, -3.0, 40.0, -60.0]))


def run(path: Path, names: list[dict[str, Any]]) -> str:
    """An evaluator that gives two volumes, one after the other."""
    outputs = [
        (of_odds(1.5, -0.25), torch.tensor([80.0, 0.0])),
        (of_odds(0.125), torch.tensor([12.5])),
    ]

    def step(engine: Engine, index: int) -> list[dict[str, Any]]:
        predicted, mm2 = outputs[index]
        image = MetaTensor(torch.zeros(1), meta={"filename_or_obj": f"scans/{index}.nii.gz"})
        engine.state.batch = [names[index]]
        return [{"image": image, "pred": predicted, "label": mm2}]

    engine = Engine(step)  # type: ignore[arg-type]
    SliceScores(path).attach(engine)
    engine.run([0, 1])
    return path.read_text(encoding="utf-8")


def test_table(tmp_path: Path) -> None:
    text = run(tmp_path / "scores.csv", [{"case": "a"}, {}])
    assert text.splitlines() == [
        "case,slice,log_odds,lesion_mm2",
        "a,0,1.50000,80.00",
        "a,1,-0.25000,0.00",
        "1.nii.gz,0,0.12500,12.50",
    ]


def test_slices_without_their_area_are_refused(tmp_path: Path) -> None:
    item = {"pred": of_odds(1.0, 2.0), "label": torch.tensor([80.0])}
    with pytest.raises(ValueError, match="shorter"):
        SliceScores(tmp_path / "scores.csv").measure(item)
