# SPDX-License-Identifier: Apache-2.0
"""The goals of the engine, and which of them the figures meet."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from .figures import Figures

BUNDLE = "reference-4"
ALIKE, ALIKE_BF16 = 0.9999, 0.998
FLAT = "peak memory, 160, flat from 2 to 25 classes"


class Goal(NamedTuple):
    """A goal, its figure, and "met", "NOT MET" or "not measured"."""

    what: str
    goal: str
    figure: str
    met: str


def goals(figures: Figures) -> list[Goal]:
    """Every goal that is about a single prediction, in fp32 with the same windows."""
    return [*_walls(figures), *_memory(figures), *_rest(figures), _share(figures)]


def _walls(figures: Figures) -> Iterator[Goal]:
    for volume, side, against, least, alike in (
        ("160", "medvol", "stock", 4, ALIKE), ("160", "medvol", "nnunet", 6, 0.0),
        ("300", "medvol", "stock", 7, ALIKE), ("small", "medvol", "stock", 2, ALIKE),
        ("160", "medvol-bf16", "stock", 5, ALIKE_BF16), ("160", "medvol-lungs", "stock", 10, 0.0),
    ):  # fmt: skip
        words = f"wall, {volume}, {side} against {'best stock' if against == 'stock' else against}"
        mine, theirs = figures.side((BUNDLE, volume), side), _against(figures, volume, against)
        if not mine or not theirs:
            yield _unmeasured(words, f">= {least}x")
            continue
        times = theirs["seconds"]["median"] / mine["seconds"]["median"]
        dice = (mine["agreement"] or {}).get("dice", 0.0)
        said = f"{times:.2f}x" + (f", Dice {dice:.5f}" if alike else "")
        yield _goal(words, f">= {least}x", said, times >= least and dice >= alike)


def _memory(figures: Figures) -> Iterator[Goal]:
    for volume, share in (("160", 3), ("300", 5)):
        words = f"peak memory, {volume}, against best stock"
        mine, theirs = (figures.side((BUNDLE, volume), "medvol"),
                        _against(figures, volume, "stock", of="peak_gib"))  # fmt: skip
        if not mine or not theirs:
            yield _unmeasured(words, f"<= 1/{share}")
            continue
        times = theirs["peak_gib"]["median"] / mine["peak_gib"]["median"]
        yield _goal(words, f"<= 1/{share}", f"1/{times:.2f}", times >= share)
    peaks = [figures.side((f"reference-{n}-random", "160"), "medvol") for n in (2, 25)]
    if not all(peaks):
        yield _unmeasured(FLAT, "<= 1.1x")
    else:
        less, more = (found["peak_gib"]["median"] for found in peaks if found)
        said = f"{more / less:.2f}x ({less:.2f} and {more:.2f} GiB)"
        yield _goal(FLAT, "<= 1.1x", said, more <= 1.1 * less)


def _rest(figures: Figures) -> Iterator[Goal]:
    words, goal = "all but the network's forward passes, 300, against best stock", ">= 15x"
    mine, theirs = figures.side((BUNDLE, "300"), "medvol"), _against(figures, "300", "stock")
    if not mine or not theirs:
        yield _unmeasured(words, goal)
        return
    rest = [side["seconds"]["median"] - side["forward_s"]["median"] for side in (theirs, mine)]
    times = rest[0] / rest[1]
    yield _goal(words, goal, f"{times:.2f}x ({rest[0]:.1f} s, {rest[1]:.1f} s)", times >= 15)


def _share(figures: Figures) -> Goal:
    words, goal = "share of the measured GEMM peak in the network, 160, fp32", ">= 50 %"
    mine = figures.side((BUNDLE, "160"), "medvol")
    theirs = figures.side((BUNDLE, "160"), "stock-1")
    case = figures.cases.get(f"{BUNDLE} 160", {})
    peak = figures.machine.get("gemm_gflops", {}).get("fp32")
    if not mine or not theirs or not peak:
        return _unmeasured(words, goal)
    windows = theirs["calls"]  # one a call
    rate = windows * case["gflop_per_window"] / mine["forward_s"]["median"]
    said = (f"{rate / peak:.0%} ({windows} windows of {case['gflop_per_window']:.1f} GFLOP in "
            f"{mine['forward_s']['median']:.1f} s, peak {peak} GFLOP/s)")  # fmt: skip
    return _goal(words, goal, said, rate >= 0.5 * peak)


def _against(
    figures: Figures, volume: str, side: str, *, of: str = "seconds"
) -> dict[str, Any] | None:
    """The side that counts: of MONAI's the one with the least seconds or memory."""
    names = ("stock-1", "stock-4") if side == "stock" else (side,)
    ran = [found for name in names if (found := figures.side((BUNDLE, volume), name))]
    return min(ran, key=lambda found: found[of]["median"]) if ran else None


def _goal(what: str, goal: str, figure: str, met: bool) -> Goal:
    return Goal(what, goal, figure, "met" if met else "NOT MET")


def _unmeasured(what: str, goal: str) -> Goal:
    return Goal(what, goal, "no figure", "not measured")
