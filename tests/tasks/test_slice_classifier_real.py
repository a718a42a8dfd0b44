# SPDX-License-Identifier: Apache-2.0
"""The shipped slice classifier on real CTs with true HU, which no training saw."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import CLASSIFIER

from medvol.metrics.classes.ranking import roc_auc
from medvol.tasks.task import load_bundle

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CLASSIFIER / "models" / "model.pt").is_file(), reason="no weights"),
]


def test_infected_slices_rank_above_the_others(real_data: Path) -> None:
    folder, infected = real_data / "ct_hounsfield", defaultdict(list)
    with open(folder / "slices.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):  # in the order of z
            infected[row["case"]].append(int(row["infection"]))
    predictor = load_bundle("covid_ct_slice_classifier")
    probability, truth = [], []
    for case in ("P001", "normal001"):
        result = predictor.predict(folder / f"{case}_ct.nii.gz")
        assert result.slices is not None
        probability.append(result.slices.probability)
        truth.append(np.array(infected[case]))
    assert roc_auc(np.concatenate(probability), np.concatenate(truth)) > 0.8
    assert probability[0].max() > probability[1].max()
