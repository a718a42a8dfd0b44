# SPDX-License-Identifier: Apache-2.0
"""What is fixed when a cohort is first run, and what it is compared with later."""

import json
import shutil
import threading
from pathlib import Path

import pytest
from tiny_bundle import tiny_bundle, tiny_radiograph_bundle

from medvol.cohort.frozen import Asked, freeze, plan_sha256, read, specs
from medvol.cohort.plan import Unit, read_plan
from medvol.errors import InputError


@pytest.fixture
def units(tmp_path: Path) -> list[Unit]:
    return [Unit(name, str(tmp_path / f"{name}.nii"), "thresholds") for name in "ab"]


def test_what_was_begun_is_read_again(bundle: Path, units: list[Unit], tmp_path: Path) -> None:
    asked = Asked([str(bundle)], ["nii"], {"precision": "fp32"}, "cpu", {"stock": True}, 60.0)
    begun = freeze(tmp_path / "out", units, asked, threads=3)
    found = read(tmp_path / "out")
    assert found.bundles == begun.bundles
    assert (found.threads, found.device, found.time_limit_s) == (3, "cpu", 60.0)
    assert read_plan(tmp_path / "out" / "plan.csv") == units
    results = found.results(tmp_path / "out", "thresholds")
    assert results.folder == tmp_path / "out" / "thresholds"
    assert results.engine.asked == {"backend": "torch", "stock": True, "threads": 3}
    assert results.formats == ["nii", "thumbnail"]
    assert results.asked["precision"] == "fp32"


def test_a_backend_is_fixed_by_name(bundle: Path, units: list[Unit], tmp_path: Path) -> None:
    asked = Asked([str(bundle)], device="cpu", engine={"backend": "torch-channels-last"})
    found = freeze(tmp_path / "out", units, asked, threads=1)
    assert found.bundles["thresholds"].backend == "torch-channels-last"
    assert found.bundles["thresholds"].given == str(bundle)


def test_of_radiographs_each_has_files_of_its_own(tmp_path: Path) -> None:
    bundle = tiny_radiograph_bundle(tmp_path / "radiographs")
    units = [Unit("a", "a.png", "radiographs")]
    found = freeze(tmp_path / "out", units, Asked([str(bundle)], device="cpu"), threads=1)
    formats = found.bundles["radiographs"].formats
    assert formats is not None
    assert {"html", "json", "thumbnail"} <= {*formats}


def test_bundles_of_the_plan_are_found_by_their_names(bundle: Path) -> None:
    units = [Unit("a", "a.nii", "thresholds"), Unit("a", "a.nii", "covid_ct_lesion_3d")]
    found = specs([str(bundle)], units)
    assert found["thresholds"].folder == bundle.resolve()
    assert found["covid_ct_lesion_3d"].name == "covid_ct_lesion_3d"
    with pytest.raises(InputError, match="E_BUNDLE"):
        specs([], [Unit("a", "a.nii", "none_of_that_name")])


def test_many_who_begin_at_once_begin_one(bundle: Path, units: list[Unit], tmp_path: Path) -> None:
    found: list[str] = []

    def begin(threads: int) -> None:
        asked = Asked([str(bundle)], device="cpu")
        found.append(freeze(tmp_path / "out", units, asked, threads=threads).made)
        found.append(str(read(tmp_path / "out").threads))

    all_at_once = [threading.Thread(target=begin, args=(number,)) for number in (1, 2, 3)]
    for one in all_at_once:
        one.start()
    for one in all_at_once:
        one.join()
    assert len({*found}) == 2  # one time and one number of threads


def test_a_bundle_that_changed_is_refused(units: list[Unit], tmp_path: Path) -> None:
    folder = tiny_bundle(tmp_path / "bundles" / "thresholds")
    freeze(tmp_path / "out", units, Asked([str(folder)], device="cpu"), threads=1)
    shutil.rmtree(folder)
    tiny_bundle(folder, metadata={"version": "9.9.9"})
    with pytest.raises(InputError, match=r"begun with thresholds 0\.3\.1, this is 9\.9\.9"):
        read(tmp_path / "out").results(tmp_path / "out", "thresholds")


def test_a_damaged_record_is_refused(bundle: Path, units: list[Unit], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="E_PATH"):
        read(out)
    freeze(out, units, Asked([str(bundle)], device="cpu"), threads=1)
    record = json.loads((out / "cohort.json").read_text())
    for change in ({"unknown": 1}, {"bundles": {"a": {}}}, {"bundles": None}):
        (out / "cohort.json").write_text(json.dumps({**record, **change}))
        with pytest.raises(InputError, match="E_FORMAT"):
            read(out)


def test_every_cell_of_a_plan_counts(units: list[Unit]) -> None:
    other = [units[0], Unit("b", units[1].path, "thresholds", group="x")]
    assert len({plan_sha256(x) for x in (units, other, units[::-1], units[:1])}) == 4


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"attention": "occlusion"}, "it takes volumes, for which there is no --attention."),
        ({"gate": "off"}, "it has no gate."),
    ],
)
def test_an_option_that_a_bundle_does_not_know_is_not_fixed(
    bundle: Path, units: list[Unit], tmp_path: Path, options: dict[str, str], reason: str
) -> None:
    with pytest.raises(InputError, match="E_BUNDLE") as caught:
        freeze(tmp_path / "out", units, Asked([str(bundle)], options=options), threads=1)
    assert caught.value.reason == reason
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["cohort.json.lock"]
