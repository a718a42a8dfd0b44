# SPDX-License-Identifier: Apache-2.0
"""Answers that the tests of DICOM share."""

import pytest
from dicom_answers import Made, made_chest, made_shot, made_slices
from phantoms import TinyChest, tiny_chest


@pytest.fixture(scope="session")
def phantom() -> TinyChest:
    return tiny_chest(noise_hu=5)


@pytest.fixture(scope="session")
def chest(tmp_path_factory: pytest.TempPathFactory, phantom: TinyChest) -> Made:
    return made_chest(tmp_path_factory.mktemp("chest"), phantom)


@pytest.fixture(scope="session")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made_shot(tmp_path_factory.mktemp("shot"))


@pytest.fixture(scope="session")
def slices(tmp_path_factory: pytest.TempPathFactory, chest: Made) -> Made:
    return made_slices(tmp_path_factory.mktemp("slices"), chest.path)
