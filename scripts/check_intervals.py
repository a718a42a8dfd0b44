# SPDX-License-Identifier: Apache-2.0
"""How often medvol's 95 % intervals hold the truth: data sets from populations that are known.

    python scripts/check_intervals.py
    python scripts/check_intervals.py --patients 2 3 5 8 --only Dice

From each population so many data sets are drawn as `--draws` says. A cell is the percentage of
their intervals that hold the true figure; in brackets the percentage of intervals that lie above
the truth and that lie below it, then the mean width. A line whose name ends in "withheld" is of a
figure that medvol prints without an interval, with the one that it would have. "-" stands where
medvol gives no interval for most of the data sets.
"""

import argparse
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import norm

from medvol.metrics.classes.calibration import BINS, image_losses
from medvol.metrics.classes.figures import all_figures, ranking_estimate, rates
from medvol.metrics.classes.ranking import weighted_auc
from medvol.metrics.intervals import (
    Estimate,
    LeftOut,
    Scale,
    figure_estimate,
    leave_out,
    median_estimate,
    ratio_estimate,
)
from medvol.metrics.masks.volume_agreement import volume_agreement

PATIENTS = (11, 20, 48, 110)
TRUTH_OF = 400_000  # patients, of whom the figure is taken as the truth
SLICES = 20  # of a volume

Numbers = npt.NDArray[Any]
Random = np.random.Generator
Sample = tuple[Numbers, ...]  # arrays (cases, ...); the first is of which patient each case is


class Row(NamedTuple):
    """A figure of a population: its name, what it is of, how data sets and intervals are made."""

    figure: str
    population: str
    draw: Callable[[Random, int], Sample]
    estimate: Callable[..., Estimate]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--draws", type=int, default=10_000, help="data sets a cell")
    parser.add_argument("--patients", type=int, nargs="+", default=PATIENTS, metavar="N")
    parser.add_argument("--only", default="", metavar="TEXT", help="figures with this in the name")
    args = parser.parse_args()
    print(f"| figure | of each patient | {' | '.join(map(str, args.patients))} patients |")
    print("| --- " * (2 + len(args.patients)) + "|")
    for row in ROWS:
        if args.only in row.figure:
            true = truth(row)
            cells = [cell(row, true, number, args.draws) for number in args.patients]
            print(
                "|",
                " | ".join([f"{row.figure}, {true:.3g}", row.population, *cells]),
                "|",
                flush=True,
            )
    return 0


def truth(row: Row) -> float:
    """The figure of very many patients, of whom none is left out."""
    patient, *data = row.draw(np.random.default_rng(0), TRUTH_OF)
    return row.estimate(*data, left_out=np.ones((1, len(patient)))).value


def cell(row: Row, true: float, patients: int, draws: int) -> str:
    """How often the interval holds, on which side it misses, and how wide it is."""
    random = np.random.default_rng(patients)
    ends = []
    for _ in range(draws):
        patient, *data = row.draw(random, patients)
        found = row.estimate(*data, left_out=leave_out(patient))
        if np.isfinite(found.low):
            ends.append((found.low, found.high))
    if len(ends) < draws / 2:
        return "-"
    low, high = np.array(ends).T
    above, below = 100 * (low > true).mean(), 100 * (high < true).mean()
    return f"{100 - above - below:.1f} ({above:.1f}, {below:.1f}) {(high - low).mean():.2g}"


# populations: one case a patient


def alone(*data: Numbers) -> Sample:
    """Cases of which each is a patient."""
    return np.arange(len(data[0])), *data


def some_missed(values: Numbers, random: Random, share: float) -> Numbers:
    """Dice, of which a share is 0."""
    return np.where(random.random(len(values)) < share, 0.0, values)


def lesion_dice(random: Random, number: int) -> Sample:
    return alone(some_missed(random.beta(6, 2, number), random, 0.05))


def organ_dice(random: Random, number: int) -> Sample:
    return alone(random.beta(60, 2, number))


def hard_dice(random: Random, number: int) -> Sample:
    return alone(some_missed(random.beta(2, 2.5, number), random, 0.2))


def tumour_dice(random: Random, number: int) -> Sample:
    return alone(some_missed(random.beta(8, 1.4, number), random, 0.02))


def scans(random: Random, number: int) -> Sample:
    """One to several scans a patient, alike in Dice."""
    patient = np.repeat(np.arange(number), 1 + random.poisson(1, number))
    apart = 0.6 * random.normal(size=len(patient))
    return patient, norm.cdf(1 + 0.8 * random.normal(size=number)[patient] + apart)


def volumes(sigma: float) -> Callable[[Random, int], Sample]:
    """Voxels in both and in either mask: log-normal volumes, larger ones with better Dice."""

    def draw(random: Random, number: int) -> Sample:
        size = random.normal(size=number)
        dice = expit(1.1 + 0.5 * size + 0.7 * random.normal(size=number))
        voxels = np.exp(sigma * size)
        return alone(dice * voxels, voxels)

    return draw


def lesions(random: Random, number: int) -> Sample:
    """Lesions found, and all: 1 to dozens a patient."""
    every = 1 + random.poisson(np.exp(1.2 + random.normal(size=number)))
    return alone(random.binomial(every, random.beta(6, 2, number)), every)


def false_lesions(random: Random, number: int) -> Sample:
    return alone(random.poisson(1.5 * random.gamma(1, 1, number)).astype(float))


def distances(random: Random, number: int) -> Sample:
    return alone(12 * np.exp(0.8 * random.normal(size=number)))


def volume_errors(random: Random, number: int) -> Sample:
    errors = np.exp(1.5 * random.normal(size=number)) * (0.25 * random.normal(size=number) - 0.05)
    return alone(30 * np.abs(errors))


def two_volume_ml(random: Random, number: int) -> Sample:
    """True and predicted volumes: a tenth too small, and by a third off."""
    true = 30 * np.exp(1.5 * random.normal(size=number))
    return alone(true, true * np.exp(0.3 * random.normal(size=number) - 0.1))


# populations: images with a class, of one case or several a patient


def right(share: float) -> Callable[[Random, int], Sample]:
    return lambda random, number: alone((random.random(number) < share).astype(float))


def right_of_many(cases: int, odds: float, apart: float) -> Callable[[Random, int], Sample]:
    """Images of a patient are alike: easy or hard."""

    def draw(random: Random, number: int) -> Sample:
        patient = np.repeat(np.arange(number), 1 + random.poisson(cases - 1, number))
        chance = expit(odds + apart * random.normal(size=number))[patient]
        return patient, (random.random(len(patient)) < chance).astype(float)

    return draw


def scored(auc: float, share: float, *, cases: int = 1) -> Callable[[Random, int], Sample]:
    """Probability and class of two binormal classes; slices of a volume are alike."""

    def draw(random: Random, number: int) -> Sample:
        often = np.ones(number, int) if cases == 1 else 1 + random.poisson(cases - 1, number)
        patient, own = np.repeat(np.arange(number), often), random.normal(size=(2, number))
        spread = 0.0 if cases == 1 else 0.5
        odds = np.log(share / (1 - share)) + 3 * spread * own[0]
        positive = random.random(len(patient)) < expit(odds)[patient]
        between = norm.ppf(auc) * np.sqrt(2 * (1 + spread**2))
        score = random.normal(size=len(patient)) + spread * own[1][patient] + between * positive
        # what the score says of the class where the network takes both for equally frequent
        positive_p = expit(between * (score - between / 2))
        return patient, np.stack([1 - positive_p, positive_p], 1), positive.astype(int)

    return draw


def too_sure(factor: float) -> Callable[[Random, int], Sample]:
    """Probabilities of two classes whose log odds are so many times what is true."""

    def draw(random: Random, number: int) -> Sample:
        odds = 2 * random.normal(size=number)
        positive = random.random(number) < expit(odds)
        given = expit(factor * odds)
        return alone(np.stack([1 - given, given], 1), positive.astype(int))

    return draw


# two bundles on the same cases


def two_dice(random: Random, number: int) -> Sample:
    """The second is better by 0.03 in the mean; what is hard for one is hard for the other."""
    hard = random.normal(size=number)
    pair = [expit(1.2 + gain + hard + 0.4 * random.normal(size=number)) for gain in (0.0, 0.2)]
    return alone(*pair)


def two_volumes(random: Random, number: int) -> Sample:
    size, hard = random.normal(size=(2, number))
    voxels, odds = np.exp(size), 1.1 + 0.5 * size + 0.7 * hard
    pair = [expit(odds + gain + 0.4 * random.normal(size=number)) for gain in (0.0, 0.2)]
    return alone(*(dice * voxels for dice in pair), voxels)


def two_right(random: Random, number: int) -> Sample:
    hard = random.normal(size=number)
    pair = [hard + 0.7 * random.normal(size=number) < gain for gain in (1.4, 1.7)]
    return alone(*(found.astype(float) for found in pair), np.ones(number))


def two_scored(random: Random, number: int) -> Sample:
    positive = random.random(number) < 0.4
    hard = random.normal(size=number)
    pair = [gain * positive + hard + 0.6 * random.normal(size=number) for gain in (1.8, 2.2)]
    return alone(*pair, positive.astype(int))


# figures


def mean(values: Numbers, *, left_out: LeftOut, scale: Scale = Scale.SHARE) -> Estimate:
    return ratio_estimate(values, np.ones(len(values)), left_out, scale=scale)


def amount(values: Numbers, *, left_out: LeftOut) -> Estimate:
    return mean(values, left_out=left_out, scale=Scale.AMOUNT)


def median(values: Numbers, *, left_out: LeftOut) -> Estimate:
    return median_estimate(values, left_out)


def pooled(above: Numbers, below: Numbers, *, left_out: LeftOut) -> Estimate:
    return ratio_estimate(above, below, left_out)


def ranking(name: str) -> Callable[..., Estimate]:
    def estimate(table: Numbers, positive: Numbers, *, left_out: LeftOut) -> Estimate:
        return ranking_estimate(name, table[:, 1], positive, left_out)

    return estimate


def of_all(name: str) -> Callable[..., Estimate]:
    def estimate(table: Numbers, positive: Numbers, *, left_out: LeftOut) -> Estimate:
        return all_figures(table, positive, left_out)[name]

    return estimate


def of_second(name: str) -> Callable[..., Estimate]:
    def estimate(table: Numbers, positive: Numbers, *, left_out: LeftOut) -> Estimate:
        return rates(positive == 1, table[:, 1] > 0.5, left_out)[name]

    return estimate


def limit(true_ml: Numbers, predicted_ml: Numbers, *, left_out: LeftOut) -> Estimate:
    """The upper limit of agreement, as a ratio."""
    return volume_agreement(true_ml, predicted_ml, left_out).high


def bias(true_ml: Numbers, predicted_ml: Numbers, *, left_out: LeftOut) -> Estimate:
    return volume_agreement(true_ml, predicted_ml, left_out).bias


def calibration_error(table: Numbers, positive: Numbers, *, left_out: LeftOut) -> Estimate:
    """As `expected_calibration_error`, of all cases and without each patient at once."""
    often, given = np.vstack([np.ones(len(table)), left_out]), table[:, 1]
    bins = np.eye(BINS)[np.minimum((given * BINS).astype(int), BINS - 1)]
    gaps = np.abs(often @ (bins * (given - positive)[:, None])).sum(1) / often.sum(1)
    return figure_estimate(gaps[0], gaps[1:], left_out)


def losses(table: Numbers, positive: Numbers, *, left_out: LeftOut) -> Estimate:
    return amount(image_losses(table, positive), left_out=left_out)


def mean_gain(first: Numbers, second: Numbers, *, left_out: LeftOut) -> Estimate:
    return mean(second - first, left_out=left_out, scale=Scale.DIFFERENCE)


def median_gain(first: Numbers, second: Numbers, *, left_out: LeftOut) -> Estimate:
    return median_estimate(second - first, left_out)


def gain(figure: Callable[..., Numbers], *, classes: bool = False) -> Callable[..., Estimate]:
    """The figure of the second bundle less that of the first; the last array is of both."""

    def estimate(first: Numbers, second: Numbers, both: Numbers, *, left_out: LeftOut) -> Estimate:
        often = np.vstack([np.ones(len(first)), left_out])
        value, *without = figure(second, both, often) - figure(first, both, often)
        return figure_estimate(
            value, np.array(without), left_out, scale=Scale.DIFFERENCE,
            classes=both if classes else None,
        )  # fmt: skip

    return estimate


def shares(above: Numbers, below: Numbers, often: Numbers) -> Numbers:
    return np.asarray((often @ above) / (often @ below))


ONE, PRECISION = "one image", "average precision"
ROWS = (
    Row("Dice, mean", "beta, 5 % are 0", lesion_dice, mean),
    Row("Dice, mean", "beta, 20 % are 0", hard_dice, mean),
    Row("Dice, mean", "beta, 2 % are 0", tumour_dice, mean),
    Row("Dice, mean", "beta, of an organ", organ_dice, mean),
    Row("Dice, mean", "1 to 4 scans", scans, mean),
    Row("Dice, median", "beta, 5 % are 0", lesion_dice, median),
    Row("Dice, median", "1 to 4 scans", scans, median),
    Row("Dice, pooled", "volumes over one decade and a half", volumes(1.0), pooled),
    Row("Dice, pooled", "volumes over two decades and more", volumes(1.5), pooled),
    Row("lesions found", "1 to dozens", lesions, pooled),
    Row("false lesions a case", "overdispersed, mean 1.5", false_lesions, amount),
    Row("HD95, mean", "log-normal", distances, amount),
    Row("volume error without sign, mean: withheld", "log-normal", volume_errors, amount),
    Row("volume error without sign, median", "log-normal", volume_errors, median),
    Row("volumes, predicted / true", "log-normal", two_volume_ml, bias),
    Row("upper limit of agreement", "log-normal", two_volume_ml, limit),
    Row("accuracy", ONE, right(0.8), mean),
    Row("accuracy", ONE, right(0.95), mean),
    Row("accuracy", "3 images, alike", right_of_many(3, 2, 1), mean),
    Row("accuracy", f"{SLICES} slices, alike", right_of_many(SLICES, 2, 1.5), mean),
    Row("recall", "a third is of the class", scored(0.9, 1 / 3), of_second("recall")),
    Row("precision", "a third is of the class", scored(0.9, 1 / 3), of_second("precision")),
    Row("F1", "a third is of the class", scored(0.9, 1 / 3), of_second("f1")),
    Row("balanced accuracy", "a third is of the class", scored(0.9, 1 / 3), of_all("macro_recall")),
    Row("AUC", "a half is positive", scored(0.75, 0.5), ranking("auc")),
    Row("AUC", "a half is positive", scored(0.9, 0.5), ranking("auc")),
    Row("AUC", "a quarter is positive", scored(0.9, 0.25), ranking("auc")),
    Row("AUC", "a half is positive", scored(0.98, 0.5), ranking("auc")),
    Row("AUC", f"{SLICES} slices, alike", scored(0.9, 0.3, cases=SLICES), ranking("auc")),
    Row(PRECISION, "a half is positive", scored(0.9, 0.5), ranking("average_precision")),
    Row(PRECISION, "a quarter is positive", scored(0.9, 0.25), ranking("average_precision")),
    Row("log loss", "calibrated", too_sure(1.0), losses),
    Row("log loss", "too sure", too_sure(1.7), losses),
    Row("calibration error: withheld", "calibrated", too_sure(1.0), calibration_error),
    Row("calibration error: withheld", "too sure", too_sure(1.7), calibration_error),
    Row("gain in Dice, mean", "alike for both", two_dice, mean_gain),
    Row("gain in Dice, median", "alike for both", two_dice, median_gain),
    Row("gain in Dice, pooled", "alike for both", two_volumes, gain(shares)),
    Row("gain in accuracy", "alike for both", two_right, gain(shares, classes=True)),
    Row("gain in AUC", "alike for both", two_scored, gain(weighted_auc, classes=True)),
)


if __name__ == "__main__":
    sys.exit(main())
