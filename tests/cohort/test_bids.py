# SPDX-License-Identifier: Apache-2.0
"""BIDS: which images of a data set are taken, and where their masks go."""

import json
from pathlib import Path

import pytest
from support.refusals import refused_by

from medvol.bundle.spec import Spec, read_spec
from medvol.cohort.bids import (
    Image,
    begin,
    find_images,
    lay_out,
    mask_name,
    results_of,
    units_of,
    work_folder,
    write_groups,
)
from medvol.owned import write_record
from medvol.tasks.task import Task, task_of

CT = "covid_ct_lesion_25d"


def task(bundle: str) -> Task:
    return task_of(read_spec(bundle))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in (
        "sub-1/ses-b/ct/sub-1_ses-b_run-2_ct.nii.gz",
        "sub-1/ses-b/ct/sub-1_ses-b_run-10_ct.nii",
        "sub-1/ses-b/ct/sub-1_ses-b_run-2_ct.json",
        "sub-1/ses-c/anat/sub-1_ses-c_ct.nii.gz",
        "sub-02/anat/sub-02_T1w.nii.gz",
        "sub-02/anat/sub-02_FLAIR.nii.gz",
        "sub-03/ct/sub-03_ct.nii.gz",
        "derivatives/x/sub-04/ct/sub-04_ct.nii.gz",
        "sub-05.txt",
    ):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    return tmp_path / "in"


def test_images_of_ct_are_found_by_their_suffix(data: Path) -> None:
    assert find_images(data, task(CT)) == [
        Image("sub-1/ses-b/ct/sub-1_ses-b_run-2_ct.nii.gz", "1", "b", "sub-1_ses-b_run-2", 5),
        Image("sub-1/ses-b/ct/sub-1_ses-b_run-10_ct.nii", "1", "b", "sub-1_ses-b_run-10", 5),
        Image("sub-1/ses-c/anat/sub-1_ses-c_ct.nii.gz", "1", "c", "sub-1_ses-c", 5),
        Image("sub-03/ct/sub-03_ct.nii.gz", "03", "", "sub-03", 5),
    ]


def test_a_link_to_what_was_not_fetched_is_an_image(data: Path) -> None:
    """As git-annex leaves it; whoever wants to read it says so."""
    link = data / "sub-03/ct/sub-03_run-2_ct.nii.gz"
    link.symlink_to("nothing")
    images = find_images(data, task(CT), participants=["03"])
    assert [(Path(image.path).name, image.size_bytes) for image in images] == [
        ("sub-03_ct.nii.gz", 5), (link.name, 0),
    ]  # fmt: skip
    units = units_of(data, images, read_spec(CT))
    before = work_folder(data, units)
    (link.parent / "nothing").touch()
    assert work_folder(data, units) != before


def test_participants_sessions_and_suffixes_are_chosen(data: Path) -> None:
    def cases(**chosen: list[str]) -> list[str]:
        return [image.case for image in find_images(data, task(CT), **chosen)]

    assert cases(participants=["03"]) == ["sub-03/ct/sub-03_ct"]
    assert cases(sessions=["c"]) == ["sub-1/ses-c/anat/sub-1_ses-c_ct"]
    assert cases(suffixes=["FLAIR"]) == ["sub-02/anat/sub-02_FLAIR"]
    assert refused_by(lambda: cases(participants=["3"]), "E_PATH").path.endswith("sub-3")
    refused_by(lambda: cases(participants=["03"], sessions=["c"]), "E_EMPTY")


def test_sequences_of_mr_are_a_folder(data: Path) -> None:
    image = Image("sub-02/anat", "02", "", "sub-02", 10)
    assert find_images(data, task("brain_mri_tumor")) == [image]
    (unit,) = units_of(data, [image], read_spec("brain_mri_tumor"))
    assert (unit.case, unit.path) == ("sub-02/anat", str(data / "sub-02/anat"))


def test_bundles_without_masks_are_refused(data: Path) -> None:
    refused_by(lambda: find_images(data, task("chest_xray_covid")), "E_BUNDLE")
    refused_by(lambda: find_images(data, task("covid_ct_slice_classifier")), "E_BUNDLE")


def test_a_plan_has_a_unit_an_image_and_no_mask_twice(data: Path) -> None:
    spec = read_spec(CT)
    units = units_of(data, find_images(data, task(CT), participants=["03"]), spec)
    assert [(x.key, x.path, x.patient, x.size_bytes) for x in units] == [
        (f"{CT}/sub-03/ct/sub-03_ct", str(data / "sub-03/ct/sub-03_ct.nii.gz"), "sub-03", 5)
    ]
    images = find_images(data, task(CT), suffixes=["T1w", "FLAIR"])
    assert mask_name(images[0], spec) == "sub-02/anat/sub-02_seg-CovidCtLesion25d_dseg"
    refused_by(lambda: units_of(data, images, spec), "E_OUTPUT")


def results(folder: Path, spec: Spec) -> Path:
    """What `predict` leaves of a case, as far as it is looked at."""
    folder.mkdir(parents=True)
    (folder / "segmentation.nii.gz").write_bytes(b"mask")
    labels = [{"value": x.value, "name": x.name, "color": x.color} for x in spec.labels]
    rows = [{"value": 1, "name": "ground-glass opacity", "voxels": 7, "volume_ml": 1.5}]
    write_record(folder / "run.json", {
        "bundle": {"name": spec.name, "version": spec.version}, "labels": labels,
        "measurements": rows, "notes": [["N_GRID", "coarse"]],
        "files": {"segmentation.nii.gz": ""},
    })  # fmt: skip
    return folder


def test_masks_become_derivatives_and_a_table_of_all(data: Path, tmp_path: Path) -> None:
    spec, out = read_spec(CT), tmp_path / "out"
    begin(out, data)
    for image in find_images(data, task(CT))[2:]:
        lay_out(out, image, spec, results(out / ".medvol" / image.case, spec))
    name = "sub-1/ses-c/anat/sub-1_ses-c_seg-CovidCtLesion25d_dseg"
    assert (out / f"{name}.nii.gz").read_bytes() == b"mask"
    assert (out / f"{name}.tsv").read_text().splitlines()[:3] == [
        "index\tname\tcolor", "0\tbackground\t#000000", "1\tground-glass opacity\t#ffbe28",
    ]  # fmt: skip
    sidecar = json.loads((out / f"{name}.json").read_text())
    assert sidecar["Sources"] == ["bids:raw:sub-1/ses-c/anat/sub-1_ses-c_ct.nii.gz"]
    assert results_of(out, find_images(data, task(CT))[2], spec) == out / sidecar["Results"]
    assert results_of(out, find_images(data, task(CT))[0], spec) is None
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["DatasetLinks"] == {"raw": data.as_uri()}
    (table,) = write_groups(out)
    assert table == out / "group_seg-CovidCtLesion25d_dseg.tsv"
    assert table.read_text().splitlines()[1:] == [
        "sub-1\tses-c\tsub-1/ses-c/anat/sub-1_ses-c_ct.nii.gz\tground-glass opacity\t7\t1.5\tn/a\t"
        "n/a\tN_GRID",
        "sub-03\tn/a\tsub-03/ct/sub-03_ct.nii.gz\tground-glass opacity\t7\t1.5\tn/a\tn/a\tN_GRID",
    ]
    begin(out, data)  # goes on
    (out / f"{name}.tsv").write_text("mine")
    image = find_images(data, task(CT))[2]
    refused_by(lambda: lay_out(out, image, spec, out / ".medvol" / image.case), "E_OUTPUT")


def test_data_sets_of_others_and_results_that_are_not_whole_are_refused(
    data: Path, tmp_path: Path
) -> None:
    refused_by(lambda: begin(data, data), "E_OUTPUT")
    (tmp_path / "other").mkdir()
    text = '{"GeneratedBy": [{"Name": "fMRIPrep"}]}'
    (tmp_path / "other/dataset_description.json").write_text(text)
    refused_by(lambda: begin(tmp_path / "other", data), "E_OUTPUT")
    begin(tmp_path / "out", data)
    data.rename(tmp_path / "moved")  # or other participants with the same labels
    error = refused_by(lambda: begin(tmp_path / "out", tmp_path / "moved"), "E_OUTPUT")
    assert error.reason.startswith(f"it is derived from {data.as_uri()}, and not from ")
    (tmp_path / "moved").rename(data)
    image, spec = find_images(data, task(CT))[0], read_spec(CT)
    refused_by(lambda: lay_out(tmp_path, image, spec, tmp_path), "E_CORRUPT")
    refused_by(lambda: write_groups(tmp_path), "E_EMPTY")
