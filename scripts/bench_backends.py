# SPDX-License-Identifier: Apache-2.0
"""Seconds a window of networks by each backend, beside MONAI's way, as a share of the peak.

    python scripts/bench_backends.py [--networks reference covid_ct_lesion_3d ...]
        [--backends stock-1 stock-4 torch torch-channels-last openvino] [--seconds 20] [--json FILE]

Reference: MONAI's UNet of 16 to 256 features on windows of 96^3, with random weights. Bundles:
their own networks on a window of a phantom. stock-N: the network as MONAI calls it, N windows at
once, all threads inside of each. Backends take turns, the median counts; operations are those of
the convolutions and products, the peak is that of a large matrix product, measured before and
after, the better counts. Let nothing else run.
"""

import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bench import machine
from bench.words import parser_of
from medvol.engine.backends.agreement import difference
from medvol.engine.backends.candidates import candidates

REFERENCE = "reference"
BUNDLES = (
    "covid_ct_lesion_3d", "covid_ct_lesion_25d", "covid_ct_slice_classifier", "brain_mri_tumor",
    "chest_xray_pneumonia",
)  # fmt: skip
SIDES = ("stock-1", "stock-4", "torch", "torch-channels-last", "openvino")
AT_ONCE = 4  # windows that each side is given in a round
Run = Callable[[Tensor], Tensor]


def main() -> int:
    """Measure what is asked for, and print a table."""
    parser = parser_of(__doc__)
    parser.add_argument("--networks", nargs="+", default=[REFERENCE, *BUNDLES])
    parser.add_argument("--backends", nargs="+", default=list(SIDES), choices=SIDES)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each network")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    peak = machine.gemm_gflops("float32")
    rows = []
    for name in args.networks:
        rows += [*measured(name, args.backends, args.seconds)]
    peak = max(peak, machine.gemm_gflops("float32"))
    print(machine.line(machine.facts(measure=False)), f"peak {peak:.0f} GFLOP/s", sep="; ")
    for row in rows:
        row["share_of_peak"] = row["gflops"] / peak
        print(
            f"{row['network']:28} {row['backend']:20} {row['seconds']:.4f} s a window, "
            f"{row['gflops']:4.0f} GFLOP/s, {row['share_of_peak']:4.0%} of the peak, "
            f"difference {row['difference']:.1e}"
        )
    if args.json:
        args.json.write_text(json.dumps({"peak_gflops": peak, "rows": rows}, indent=2) + "\n")
    return 0


def measured(name: str, wanted: list[str], seconds: float) -> Iterator[dict[str, Any]]:
    """A row for each side of a network."""
    network, window = network_of(name)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        expected = network(window)
    gflop = counter.get_total_flops() / 1e9
    windows = window.repeat(AT_ONCE, *[1] * (window.ndim - 1))
    sides = dict(sides_of(network, wanted))
    times: dict[str, list[float]] = {side: [] for side in sides}
    differences: dict[str, float] = {}
    with torch.inference_mode():
        for side, run in sides.items():  # the first run also sets things up
            differences[side] = difference(run(windows)[:1], expected)
        ends = time.monotonic() + seconds
        for number in itertools.count():
            if number > 2 and time.monotonic() > ends:
                break
            for side, run in sides.items():
                started = time.perf_counter()
                run(windows)
                times[side].append((time.perf_counter() - started) / AT_ONCE)
    for side, taken in times.items():
        median = statistics.median(taken)
        yield {
            "network": name, "backend": side, "shape": list(window.shape[1:]), "seconds": median,
            "least": min(taken), "most": max(taken), "rounds": len(taken), "gflop": gflop,
            "gflops": gflop / median, "difference": differences[side],
        }  # fmt: skip


def sides_of(network: nn.Module, wanted: list[str]) -> Iterator[tuple[str, Run]]:
    """Name of a side to what runs windows; one that cannot is left out, and says why."""
    makers = candidates(network, "fp32")
    for side in wanted:
        if side.startswith("stock-"):
            number = int(side.removeprefix("stock-"))
            yield side, lambda x, n=number: torch.cat([network(some) for some in x.split(n)])
        elif side in makers:
            backend = makers[side]()
            yield side, backend


def network_of(name: str) -> tuple[nn.Module, Tensor]:
    """A network, ready to answer, and a window (1, C, *spatial) of it."""
    if name == REFERENCE:
        from monai.networks.nets import UNet

        torch.manual_seed(0)
        features = (16, 32, 64, 128, 256)
        network = UNet(3, 1, 2, features, (2, 2, 2, 2), num_res_units=2, norm="batch").eval()
        return network, torch.rand(1, 1, 96, 96, 96)
    from medvol.bundle.config import Config
    from medvol.engine.settings import EngineSettings
    from medvol.sharing.windows import noise, phantom_windows
    from medvol.tasks.task import load_bundle

    pipeline = load_bundle(name, device="cpu", engine=EngineSettings("torch")).pipeline
    spec = pipeline.spec
    path = spec.folder / "configs" / "inference.json"
    gate = {"gate_threshold": 0.0} if "gate_threshold" in path.read_text() else {}
    config = Config(path, bundle_root=str(spec.folder), device="cpu", **gate)
    found = phantom_windows(config, spec, {"model": pipeline.network})
    return pipeline.network, found.get("model", noise(spec))


if __name__ == "__main__":
    raise SystemExit(main())
