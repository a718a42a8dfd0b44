# SPDX-License-Identifier: Apache-2.0
"""What an answer says in numbers, as groups of coded measurements that a structured report takes.

A group is of one thing: a label, a region of the lungs, the whole image, a class of a radiograph.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ...answer import Answer
from ...labels import Code
from ...metrics.lung_regions import LUNG, Region
from ...metrics.measurements import Measurement
from . import terms
from .terms import own

SHARE = "share"  # codes of medvol's own
ORGAN_VOLUME, ZONE_SCORE, CT_SCORE = "organ-volume", "zone-score", "ct-score"
SLICES, SLICES_FOUND, RUN, HIGHEST = "slices", "slices-found", "longest-run", "highest-prob"
FOUND = "found"
SCORE_UNIT = Code("UCUM", "{score}", "score")


@dataclass(frozen=True)
class Number:
    """One measured value.

    Args:
        name: what was measured.
        value: in `unit`.
        unit: of UCUM.
        derivation: how values became one, such as their mean; None where they did not.
    """

    name: Code
    value: float
    unit: Code
    derivation: Code | None = None


@dataclass(frozen=True)
class Group:
    """What is said of one thing.

    Args:
        what: it is, in words; by it a group has the same tracking UID as the segment of this name.
        finding: what it is, coded.
        category: of which kind, coded; None where that is not known.
        site: where it is; None where that is not known.
        side: "Right" or "Left", coded; None of what has none.
        segment: number of its segment; 0 for what is not one.
        numbers: measured of it.
        present: whether it was found; None where the answer does not say.
    """

    what: str
    finding: Code
    category: Code | None = None
    site: Code | None = None
    side: Code | None = None
    segment: int = 0
    numbers: tuple[Number, ...] = ()
    present: bool | None = None


def groups_of(answer: Answer) -> list[Group]:
    """All that an answer says in numbers, the labels first.

    Args:
        answer: of any task.
    """
    return [
        *_labels(answer), *_regions(answer), *_whole(answer), *_slices(answer), *_classes(answer)
    ]  # fmt: skip


def _labels(answer: Answer) -> Iterator[Group]:
    for number, row in enumerate(answer.measurements, 1):
        label = answer.spec.labels[row.value]
        known = terms.terms_of(label)
        yield Group(
            label.name, known.type, known.category, known.region, segment=number,
            numbers=tuple(_of_label(answer, row)),
        )  # fmt: skip


def _of_label(answer: Answer, row: Measurement) -> Iterator[Number]:
    yield Number(terms.VOLUME, row.volume_ml, terms.ML)
    if row.mean_value is not None:
        hounsfield = answer.spec.values == "HU"
        name = terms.ATTENUATION if hounsfield else terms.INTENSITY
        unit = terms.HU if hounsfield else terms.NO_UNIT
        yield Number(name, row.mean_value, unit, terms.MEAN)
    organ = answer.reference
    if organ is not None and row.share_percent is not None:
        yield Number(own(SHARE, f"Share of {organ.name}"), row.share_percent, terms.PERCENT)


def _focus(answer: Answer) -> Code:
    """What is looked for, coded: the one label it is, or else a lesion."""
    focus = answer.spec.focus
    one = terms.terms_of(answer.spec.labels[focus[0]]) if len(focus) == 1 else None
    return one.type if one else terms.LESION


def _regions(answer: Answer) -> Iterator[Group]:
    """The lungs and their thirds, where the bundle tells them apart."""
    burden = answer.burden
    for region in burden.regions if burden else ():
        yield Group(
            f"{answer.spec.focus_name}, {region.name}", _focus(answer),
            site=region.site, side=region.laterality, numbers=tuple(_of_region(region)),
        )  # fmt: skip


def _of_region(region: Region) -> Iterator[Number]:
    yield Number(terms.VOLUME, region.lesion_ml, terms.ML)
    yield Number(own(ORGAN_VOLUME, "Volume of lung in the region"), region.organ_ml, terms.ML)
    if region.share_percent is not None:
        yield Number(
            own(SHARE, "Share of lung in the region"), region.share_percent, terms.PERCENT
        )  # fmt: skip
    if region.score is not None:
        yield Number(own(ZONE_SCORE, "Score of the zone, 0 to 4"), region.score, SCORE_UNIT)


def _whole(answer: Answer) -> Iterator[Group]:
    """Both lungs together: the number of lesions, and the CT score."""
    burden = answer.burden
    if burden is None:
        return
    numbers = [Number(terms.NUMBER_OF_LESIONS, burden.lesions.number, terms.NO_UNIT)]
    if answer.ct_score is not None:
        name = own(CT_SCORE, "CT score of both lungs, 0 to 24")
        numbers.append(Number(name, answer.ct_score, SCORE_UNIT))
    what = f"{answer.spec.focus_name}, both lungs"
    yield Group(what, _focus(answer), site=LUNG, numbers=tuple(numbers))


def _slices(answer: Answer) -> Iterator[Group]:
    """What a classifier of slices, or a gate, says of the whole volume."""
    slices = answer.slices
    if slices is None:
        return
    highest = 100.0 * float(slices.probability.max())
    numbers = (
        Number(own(SLICES, "Number of slices"), len(slices.probability), terms.NO_UNIT),
        Number(
            own(SLICES_FOUND, "Slices at or above the threshold"),
            slices.number_found, terms.NO_UNIT,
        ),
        Number(own(RUN, "Length of the longest run of such slices"), slices.length_mm, terms.MM),
        Number(own(HIGHEST, "Highest probability of a slice"), highest, terms.PERCENT),
    )  # fmt: skip
    name = f"{answer.spec.focus_name}, slices"
    yield Group(name, _focus(answer), numbers=numbers, present=answer.found)


def _classes(answer: Answer) -> Iterator[Group]:
    """The probability of each class of a radiograph; the most probable one is the answer."""
    classes = answer.classes
    if classes is None:
        return
    for index, name in enumerate(classes.names):
        percent = 100.0 * float(classes.probability[index])
        numbers = (Number(terms.PROBABILITY, percent, terms.PERCENT),)
        answers = index == classes.index
        yield Group(name, terms.class_code(name), numbers=numbers, present=answers or None)
