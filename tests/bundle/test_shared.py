# SPDX-License-Identifier: Apache-2.0
"""Settings of a training that its use must share go to where both take them from."""

import pytest

from medvol.bundle.build import SOURCE, assemble, parts_for, read_source
from medvol.bundle.find import shipped_bundles
from medvol.bundle.shared import places_of, with_settings

SHIPPED = shipped_bundles()
OF_BOTH = [
    ("chest_xray_pneumonia", "image_size", "parameters image_size"),
    ("chest_xray_pneumonia", "network_def#dropout", "parameters network dropout"),
    ("covid_ct_lesion_3d", "spacing_mm", "parameters spacing_mm"),
    ("covid_ct_lesion_3d", "patch_size", "parameters patch_size"),
    ("covid_ct_lesion_25d", "network_def#features", "parameters features"),
    ("covid_ct_slice_classifier", "window_hu", "parameters window_hu"),
    ("brain_mri_tumor", "network_def#features", "parameters features"),
]
OF_TRAINING = [
    ("chest_xray_pneumonia", "epochs"),
    ("covid_ct_lesion_3d", "crop_size"),
    ("covid_ct_lesion_3d", "labels"),  # follows from the labels themselves
    ("covid_ct_lesion_3d", "train#handlers#0"),
    ("brain_mri_tumor", "batch_size"),
]


@pytest.mark.parametrize(("name", "setting", "place"), OF_BOTH)
def test_a_parameter_is_set_where_its_id_stands_for_one(
    name: str, setting: str, place: str
) -> None:
    folder = SHIPPED[name]
    find = parts_for(folder)
    merged = assemble(read_source(folder / SOURCE), find)
    assert places_of(setting, merged) == [place.split()]


@pytest.mark.parametrize(("name", "setting"), OF_TRAINING)
def test_what_is_of_the_training_alone_is_left(name: str, setting: str) -> None:
    folder = SHIPPED[name]
    source = read_source(folder / SOURCE)
    shared = with_settings(source, {setting: 7}, parts_for(folder))
    assert (shared.source, shared.rest) == (source, {setting: 7})


def test_an_argument_of_the_network_goes_to_training_and_use() -> None:
    folder = SHIPPED["covid_ct_lesion_3d"]
    source = read_source(folder / SOURCE)
    made = with_settings(source, {"network_def#norm": "instance"}, parts_for(folder)).source
    assert made["train"]["network_def"] == made["inference"]["network_def"] == {"norm": "instance"}
    assert "network_def" not in source["train"]
