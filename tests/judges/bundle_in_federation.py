# SPDX-License-Identifier: Apache-2.0
"""A bundle in a federation: MONAI's client trains it for an epoch on the data of one lab.

    python bundle_in_federation.py BUNDLE DATA FOLDER

DATA is a folder with a datalist.json; FOLDER takes a copy of the bundle, into which this writes as
MONAI's client does. What fails is the last line, with exit status 1.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

SMALLEST = {  # one short epoch; a case comes once, as a lab with few cases would begin
    "epochs": 1, "repeat": 1, "val_interval": 1, "precision": "fp32", "num_workers": 0,
}  # fmt: skip
TRAIN, EVALUATE, LAB = (f"configs/{name}.json" for name in ("train", "evaluate", "lab"))
BINS, RANGE = 16, [-1000, 400]  # of the statistics


def main(bundle: str, data: str, folder: str) -> None:
    copy = copy_for_a_lab(Path(bundle), Path(data), Path(folder))
    print(federated(copy), counted(copy))


def copy_for_a_lab(bundle: Path, data: Path, folder: Path, **settings: Any) -> Path:
    """A copy of a bundle with a lab's own settings in `configs/lab.json`.

    Args:
        bundle: its root.
        data: folder with a datalist.
        folder: takes the copy.
        settings: ids of the training's config, over `SMALLEST`.
    """
    copy = folder / bundle.name
    shutil.copytree(bundle, copy)
    config = json.loads((copy / "configs" / "train.json").read_text(encoding="utf-8"))
    known = {name: value for name, value in SMALLEST.items() if name in config}
    lab = {**known, "dataset_dir": str(data), "output_dir": str(folder / "runs"), **settings}
    (copy / "configs" / "lab.json").write_text(json.dumps(lab))
    return copy


def federated(copy: Path) -> dict[str, Any]:
    """Train and evaluate as a client does; the metrics, and "weights", how many it sends."""
    from monai.fl.client import MonaiAlgo
    from monai.fl.utils.constants import ExtraItems

    client = MonaiAlgo(
        bundle_root=str(copy), send_weight_diff=False, config_train_filename=[TRAIN, LAB],
        config_evaluate_filename=[TRAIN, EVALUATE, LAB],
    )  # fmt: skip
    client.initialize(extra={ExtraItems.CLIENT_NAME: "lab", ExtraItems.APP_ROOT: ""})
    sent = client.get_weights()
    sent.weights = {
        name: value.clone() if hasattr(value, "clone") else value.copy()
        for name, value in sent.weights.items()
    }
    client.train(data=sent, extra={})
    found = client.evaluate(data=sent, extra={}).metrics
    client.finalize()
    return {**found, "weights": len(sent.weights)}


def counted(copy: Path) -> list[str]:
    """Names of the statistics that a client gives of its data.

    Raises:
        ValueError: there are none.
    """
    from monai.fl.client import MonaiAlgoStats
    from monai.fl.utils.constants import ExtraItems, FlStatistics

    counter = MonaiAlgoStats(bundle_root=str(copy), config_train_filename=[TRAIN, LAB])
    counter.initialize({ExtraItems.CLIENT_NAME: "lab", ExtraItems.APP_ROOT: ""})
    wanted = {FlStatistics.HIST_BINS: BINS, FlStatistics.HIST_RANGE: RANGE}
    found = counter.get_data_stats(wanted).statistics
    if not found:
        raise ValueError("there are no statistics")
    return [str(name) for name in found]


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    from last_line import said_in_one_line

    said_in_one_line(main)
