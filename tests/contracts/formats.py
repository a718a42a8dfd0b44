# SPDX-License-Identifier: Apache-2.0
"""What reading every format must do; a new one gets these tests in 3 lines.

    class TestNrrd(FormatContract):
        name = "NRRD"
        kinds = {"volume": save_nrrd}

`kinds` has for each kind of image a function that saves the one of `volume` or `radiograph` here
in a folder and gives its path.
"""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from phantoms import TINY_AFFINE, tiny_chest
from radiographs import truth
from refusals import refused_by

from medvol.errors import InputError
from medvol.images import read_image
from medvol.images.files import read_head
from medvol.images.find import case_name, find_radiographs, find_volumes
from medvol.images.formats import FORMATS, HEAD_BYTES
from medvol.images.image import Image, Kind

Save = Callable[[Path], Path]
VOLUME, RADIOGRAPH = tiny_chest().ct, truth()


class FormatContract:
    """The tests of a format; subclass it in a test module."""

    name: ClassVar[str]
    kinds: ClassVar[dict[Kind, Save]]
    tolerance = 0.0  # of grey, where a format keeps pixels roughly

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "kind" in metafunc.fixturenames:
            metafunc.parametrize("kind", list(self.kinds))

    @pytest.fixture
    def path(self, kind: Kind, tmp_path: Path) -> Path:
        return self.kinds[kind](tmp_path)

    def check(self, image: Image, kind: Kind) -> None:
        if kind == "volume":
            np.testing.assert_array_equal(image.array, VOLUME)
            np.testing.assert_allclose(image.affine, TINY_AFFINE, atol=1e-4)
        else:
            np.testing.assert_allclose(image.array, RADIOGRAPH, atol=self.tolerance + 1e-7, rtol=0)

    def test_values_and_place(self, path: Path, kind: Kind) -> None:
        image = read_image(path, kind)
        self.check(image, kind)
        assert image.notes == ()
        assert image.path == path
        assert image.facts["format"]

    def test_one_format_recognises_it(self, path: Path) -> None:
        head = read_head(path, HEAD_BYTES)
        assert [form.name for form in FORMATS if form.recognised(head)] == [self.name]

    def test_the_content_counts_whatever_the_name_says(self, path: Path, kind: Kind) -> None:
        image = read_image(path.rename(path.with_name("odd.name")), kind)
        self.check(image, kind)
        assert [str(note) for note in image.notes] == [
            f"N_FORMAT its content is {self.name} whatever its name says."
        ]

    def test_it_is_found_by_its_name(self, path: Path, kind: Kind) -> None:
        find = find_volumes if kind == "volume" else find_radiographs
        assert find(path.parent) in ([path], [path.parent])  # the folder, where slices are volumes
        assert case_name(path) == "image"

    def test_a_file_that_is_cut_is_refused(self, path: Path, kind: Kind) -> None:
        content = path.read_bytes()
        for share in (0.3, 0.6, 0.95):
            path.write_bytes(content[: int(share * len(content))])
            with pytest.raises(InputError, match=r"E_TRUNCATED|E_CORRUPT"):
                read_image(path, kind)
        path.write_bytes(b"")
        refused_by(lambda: read_image(path, kind), "E_EMPTY")
