# SPDX-License-Identifier: Apache-2.0
"""What every shared chain of medvol must do; a new one gets these tests in 3 lines.

    class TestLungCt(ChainContract):
        make = lung_ct
        image = staticmethod(a_function_that_saves_one_image_in_a_folder)

`settings` are those of a bundle, and `fingerprint` is what it records; `same` are settings beside
them that change no number, `changes` such that do, each of them another one. `seen` is what a
network sees of that image, at `PLACES` places between its first and its last voxel. `axes` is 2 for
radiographs, which have no grid in the patient to go back to.
"""

import inspect
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Invertd

from medvol.chains import Chain

PLACES = 12
MOVES = 1e-3  # by less, weights need not be trained or measured again


class ChainContract:
    """The tests of a chain; subclass it in a test module."""

    make: Callable[..., Chain]
    image: Callable[[Path], Path]
    settings: ClassVar[dict[str, Any]] = {}
    fingerprint: ClassVar[str]
    same: ClassVar[list[dict[str, Any]]]
    changes: ClassVar[list[dict[str, Any]]]
    seen: ClassVar[list[float]]
    channels: ClassVar[int] = 1
    axes: ClassVar[int] = 3

    def chain(self, **settings: Any) -> Chain:
        return type(self).make(**{**self.settings, **settings})

    def prepared(self, tmp_path: Path) -> dict[str, Any]:
        result: dict[str, Any] = self.chain()({"image": str(type(self).image(tmp_path))})
        return result

    def test_all_arguments_are_named_and_have_defaults(self) -> None:
        given = inspect.signature(type(self).make).parameters.values()
        assert {x.kind for x in given} == {inspect.Parameter.KEYWORD_ONLY}
        assert [x.name for x in given if x.default is inspect.Parameter.empty] == []

    def test_the_fingerprint_is_that_of_the_bundles(self) -> None:
        """When this fails, bundles trained before are refused: undo it, unless `seen` moves."""
        chain = self.chain()
        assert chain.fingerprint == self.fingerprint
        assert json.loads(json.dumps(chain.settings)) == chain.settings

    def test_what_the_network_sees_moves_with_the_revision_alone(self, tmp_path: Path) -> None:
        """When this fails, undo it, or raise the revision in `medvol.chains.REVISIONS`."""
        voxels = self.prepared(tmp_path)["image"].as_tensor().flatten()
        places = torch.linspace(0, len(voxels) - 1, PLACES + 2).long()[1:-1]
        assert voxels[places].tolist() == pytest.approx(self.seen, abs=MOVES)

    def test_what_changes_no_number_changes_no_fingerprint(self) -> None:
        for same in [*self.same, {"image_key": "another"}]:
            assert self.chain(**same).fingerprint == self.fingerprint, same

    def test_each_setting_that_changes_a_number_changes_the_fingerprint(self) -> None:
        found = {self.chain(**change).fingerprint for change in self.changes}
        assert len({*found, self.fingerprint}) == len(self.changes) + 1

    def test_what_comes_out(self, tmp_path: Path) -> None:
        image = self.prepared(tmp_path)["image"]
        assert isinstance(image, MetaTensor)
        assert image.dtype == torch.float32
        assert (image.shape[0], image.ndim) == (self.channels, self.axes + 1)
        assert image.isfinite().all()
        assert image.std() > 0

    def test_it_draws_nothing(self, tmp_path: Path) -> None:
        one = self.prepared(tmp_path)["image"]
        copied = pickle.loads(pickle.dumps(self.chain()))
        other = copied({"image": str(type(self).image(tmp_path))})["image"]
        assert torch.equal(one.as_tensor(), other.as_tensor())

    def test_other_items_pass(self, tmp_path: Path) -> None:
        data = {"another": str(type(self).image(tmp_path)), "case": "a"}
        result = self.chain(image_key="another")(data)
        assert result["case"] == "a"
        assert isinstance(result["another"], MetaTensor)

    def test_a_mask_comes_back_to_the_images_own_grid(self, tmp_path: Path) -> None:
        if self.axes == 2:
            pytest.skip("a radiograph has no grid in the patient")
        data, chain = {"image": str(type(self).image(tmp_path))}, self.chain()
        image = chain(data)["image"]
        data = {"image": image, "pred": MetaTensor(torch.ones_like(image.as_tensor()[:1]))}
        back = Invertd("pred", chain, orig_keys="image", nearest_interp=True)(data)["pred"]
        assert back.shape[1:] == tuple(image.meta["spatial_shape"])
        original = torch.as_tensor(image.meta["original_affine"])
        torch.testing.assert_close(back.affine.double(), original.double(), atol=1e-6, rtol=0)
