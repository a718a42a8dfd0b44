# SPDX-License-Identifier: Apache-2.0
"""`medvol evaluate --against`: what an evaluation gains on an earlier one of the same cases."""

from collections.abc import Mapping
from pathlib import Path

from ..errors import InputError
from ..files import read_csv, write_csv, write_json
from ..metrics.gains import Gains, gains
from ..metrics.intervals import CONFIDENCE_PERCENT, METHOD, Estimate
from ..owned import filling, withdraw
from ..text import counted, digits
from .comparison import TABLE

GAINS, CASES = FILES = ("gains.json", "gains.csv")
MAIN = ("dice_mean", "dice_median", "dice_pooled", "accuracy", "macro_auc")  # said on the terminal


def check_earlier(folder: Path, output: Path) -> None:
    """Refuse an earlier evaluation that is not there, before hours of work, and old results.

    Args:
        folder: of the earlier evaluation.
        output: of the one to come.

    Raises:
        InputError: E_PATH, it has no table of figures; E_OUTPUT, what lies in `output` is not
            medvol's own.
        ValueError: both are the same folder.
    """
    if not (folder / TABLE).is_file():
        remedy = "Give the --output of an earlier medvol evaluate."
        raise InputError("E_PATH", folder, f"there is no {TABLE} in it.", remedy)
    if folder.resolve() == output.resolve():
        raise ValueError("--against and --output are one folder; give two")
    withdraw(output, FILES)


def write_gains(folder: Path, output: Path) -> list[str]:
    """Write `gains.json` and `gains.csv` beside the figures.

    Args:
        folder: of the earlier evaluation.
        output: of the new one, which is written.

    Returns:
        The main differences, a line a region.

    Raises:
        InputError: E_NOSPACE, the files cannot be written.
        ValueError: as for `metrics.gains.gains`.
    """
    found = gains(read_csv(folder / TABLE), read_csv(output / TABLE))
    with filling(output) as scratch:
        write_json(scratch / GAINS, _record(folder, found))
        rows = [
            [digits(x) if isinstance(x, float) else "" if x is None else x for x in row.values()]
            for row in found.cases
        ]
        write_csv(scratch / CASES, list(found.cases[0]), rows)
    left = f"; {counted(found.unpaired, 'case')} in one of them only" if found.unpaired else ""
    return [
        f"{region + ' ' if region else ''}against {folder.name}: {_words(figures)}{left}"
        for region, figures in found.figures.items()
    ]


def _record(folder: Path, found: Gains) -> dict[str, object]:
    return {
        "against": folder.name,
        "interval": {"percent": CONFIDENCE_PERCENT, "method": METHOD},
        "figures": {
            region: {name: estimate.record() for name, estimate in figures.items()}
            for region, figures in found.figures.items()
        },
        "cases_in_one_only": found.unpaired,
    }


def _words(figures: Mapping[str, Estimate]) -> str:
    shown = [name for name in MAIN if name in figures]
    return ", ".join(
        f"{name.replace('_', ' ').removeprefix('macro ')} {figures[name].words('{:+.3f}'.format)}"
        for name in shown
    )
