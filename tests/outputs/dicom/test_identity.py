# SPDX-License-Identifier: Apache-2.0
"""UIDs by a rule: the same for the same image, bundle and settings, and else others."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_answers import Made, written
from pydicom.dataset import Dataset
from pydicom.uid import UID

from medvol.answer import Answer, GivenMask
from medvol.outputs.dicom.identity import Identity, identity_of
from medvol.outputs.save import Saving

ALL = ["dicom-seg", "dicom-sr", "dicom-sc"]
WHEN = {  # all that may differ between two runs
    "InstanceCreationDate", "InstanceCreationTime", "ContentDate", "ContentTime",
    "DateOfSecondaryCapture", "TimeOfSecondaryCapture",
}  # fmt: skip


def timeless(dataset: Dataset) -> Dataset:
    for name in WHEN:
        if name in dataset:
            del dataset[name]
    for item in dataset.ContributingEquipmentSequence:
        item.pop("ContributionDateTime", None)
    return dataset


def test_a_second_run_gives_the_same_files_but_for_when_they_were_written(
    chest: Made, tmp_path: Path
) -> None:
    again = chest.bundle.predict(chest.path)
    first, second = (
        written(answer, tmp_path / name, *ALL)
        for name, answer in (("a", chest.answer), ("b", again))
    )
    for one, other in zip(first, second, strict=True):
        assert timeless(one) == timeless(other)


def test_every_uid_is_one_and_no_two_are_the_same(chest: Made, tmp_path: Path) -> None:
    files = written(chest.answer, tmp_path, *ALL)
    tracking = [x.TrackingUID for x in files[0].SegmentSequence]
    dimensions = [x.DimensionOrganizationUID for x in files[0].DimensionOrganizationSequence]
    uids = [x for f in files for x in (f.SOPInstanceUID, f.SeriesInstanceUID)]
    every = [*uids, *tracking, *dimensions]
    assert len(set(every)) == 6 + 3 + 1
    for uid in every:
        assert UID(uid).is_valid
        assert uid.startswith("2.25.")


def key(answer: Answer, request: str = "", **asked: object) -> str:
    return identity_of(Saving(answer, [], Path("unused"), None, request, asked)).key


def changed_voxel(answer: Answer) -> Answer:
    array = answer.image.array.copy()
    array[0, 0, 0] += 1
    return replace(answer, image=replace(answer.image, array=array))


CHANGES: dict[str, Callable[[Answer], Answer]] = {
    "voxel": changed_voxel,
    "instance": lambda a: replace(
        a, image=replace(a.image, instances=(*a.image.instances[:-1], a.image.instances[0]))
    ),
    "version": lambda a: replace(a, spec=replace(a.spec, version="9.9.9")),
    "device": lambda a: replace(a, run=replace(a.run, device="cuda")),
    "settings": lambda a: replace(a, run=replace(a.run, settings={"overlap": 0.9})),
    "hand": lambda a: replace(a, given=GivenMask("x", "1" * 64)),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_decides_about_an_answer_decides_about_uids(what: str, chest: Made) -> None:
    assert key(CHANGES[what](chest.answer)) != key(chest.answer)


def test_a_request_stands_for_the_settings(chest: Made) -> None:
    answer = chest.answer
    other = replace(answer, run=replace(answer.run, settings={"threads": 3}))
    assert key(answer, "a") == key(other, "a") != key(answer, "b")
    assert key(answer, labelmap=True) != key(answer)


def test_what_does_not_decide_does_not(chest: Made) -> None:
    image = chest.answer.image
    moved = replace(image, path=Path("elsewhere"), sha256="0" * 64, notes=())
    turned = replace(image, array=np.ascontiguousarray(image.array))  # lies otherwise in memory
    for other in (moved, turned):
        assert key(replace(chest.answer, image=other)) == key(chest.answer)


def test_the_number_is_that_of_a_uuid_by_a_name() -> None:
    # uuid.uuid5(8a0f4c9e-5d0b-4b61-9b0c-6f1c0d1c7a55, '["k", "series", "dicom-seg"]').int
    number = int(Identity("k").uid("series", "dicom-seg").removeprefix("2.25."))
    assert number < 2**128
    assert (number >> 76) & 0xF == 5  # version
    assert (number >> 62) & 0b11 == 0b10  # variant
