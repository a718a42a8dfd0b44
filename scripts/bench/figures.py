# SPDX-License-Identifier: Apache-2.0
"""Figures of a benchmark as they come: runs of each side on each case, kept as JSON."""

import json
import time
from pathlib import Path
from typing import Any

from .machine import spread

DISTURBED = 0.05  # of a run's time
Case = tuple[str, str]  # bundle and volume


class Figures:
    """Runs by case and side.

    Args:
        machine: facts of it.
    """

    def __init__(self, machine: dict[str, Any]) -> None:
        self.machine = machine
        self.cases: dict[str, dict[str, Any]] = {}

    @classmethod
    def read(cls, path: Path) -> "Figures":
        """Those that were written."""
        kept = json.loads(path.read_text(encoding="utf-8"))
        found = cls(kept["machine"])
        found.cases = kept["cases"]
        return found

    def write(self, path: Path) -> None:
        """Write them, as they are now."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"part_{path.name}")
        text = json.dumps({"machine": self.machine, "cases": self.cases}, indent=1)
        part.write_text(text, encoding="utf-8")
        part.replace(path)

    def describe(self, case: Case, image: Path, bundle: str) -> None:
        """Say what a case is: the file's shape and spacing, and the network's weights."""
        import nibabel

        from .reference import weights_sha256

        if _key(case) in self.cases:
            return
        header = nibabel.load(image).header
        self.cases[_key(case)] = {
            "bundle": case[0], "volume": case[1],
            "shape": [int(n) for n in header.get_data_shape()[:3]],
            "spacing_mm": [round(float(mm), 4) for mm in header.get_zooms()[:3]],
            "weights_sha256": weights_sha256(Path(bundle)), "sides": {},
            "gflop_per_window": _gflop(case[0]),
        }  # fmt: skip

    def add(self, case: Case, side: str, found: dict[str, Any]) -> None:
        """One more run of a side."""
        place = self.cases[_key(case)]["sides"].setdefault(side, {"runs": []})
        place["runs"].append({"when": time.strftime("%Y-%m-%d %H:%M"), **found})

    def compare(self, case: Case, side: str, alike: dict[str, float]) -> None:
        """How alike its mask is to the judge's."""
        self.cases[_key(case)]["sides"][side]["agreement"] = alike

    def side(self, case: Case, side: str) -> dict[str, Any] | None:
        """Medians of a side's seconds, memory and stages; None where it did not run.

        Runs that others disturbed do not count, where there are any else.
        """
        place = self.cases.get(_key(case), {}).get("sides", {}).get(side)
        runs = [one for one in place["runs"] if "failed" not in one] if place else []
        runs = [one for one in runs if not disturbed(one)] or runs
        if not place or not runs:
            return None
        stages = sorted({name for one in runs for name in one.get("stages", {})})
        middle = {
            name: spread([one[name] for one in runs])
            for name in ("seconds", "peak_gib", "forward_s", "process_s")
            if all(name in one for one in runs)
        }
        each = {
            name: spread([one.get("stages", {}).get(name, 0.0) for one in runs])["median"]
            for name in stages
        }
        return {**middle, "stages": each, "runs": len(runs), "calls": runs[-1].get("calls"),
                "agreement": place.get("agreement"),
                "settings": runs[-1].get("settings", {})}  # fmt: skip


def disturbed(run: dict[str, Any]) -> bool:
    """Whether other processes took so much of the processors that its seconds are not its own."""
    return bool(run.get("others_cpu_s", 0.0) > DISTURBED * run["seconds"])


def _key(case: Case) -> str:
    return f"{case[0]} {case[1]}"


def _gflop(bundle: str) -> float | None:
    """Operations of the reference network for a window, in 1e9; None of another network."""
    if not bundle.startswith("reference"):
        return None
    import torch
    from monai.networks.nets import UNet
    from torch.utils.flop_counter import FlopCounterMode

    from .reference import PATCH, network_def

    words = network_def(int(bundle.split("-")[1]))
    network = UNet(**{key: value for key, value in words.items() if key != "_target_"}).eval()
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), torch.device("cpu"), counter:
        network(torch.zeros(1, 1, PATCH, PATCH, PATCH))
    return counter.get_total_flops() / 1e9
