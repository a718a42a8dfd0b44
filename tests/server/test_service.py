# SPDX-License-Identifier: Apache-2.0
"""The core of a server, without HTTP: images, jobs, results, and what goes wrong with them."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from server_jobs import LONG_S, done, sent, two_series

from medvol.errors import InputError
from medvol.server.jobs import DONE, REFUSED, RUNNING, Job, Jobs
from medvol.server.keep import held, outlived
from medvol.server.refusals import Missing, Misused
from medvol.server.service import Service


def test_a_job_is_done_by_a_worker_that_stays(service: Service, chest_file: Path) -> None:
    image = sent(service, chest_file)
    first = done(service, image.id)
    worker = service.queue.lanes[0].child.id
    second = done(service, image.id, strict=True)
    assert (first.state, first.error) == (DONE, None)
    assert second.state == DONE
    assert second.key != first.key
    assert service.queue.lanes[0].child.id == worker
    assert {"segmentation.nii.gz", "image.nii.gz", "run.json"} <= {*first.files}
    assert service.file(first, "segmentation.nii.gz").is_file()
    assert first.found["notes"] == []


def test_what_was_done_is_there_at_once_and_after_a_change_it_is_done_again(
    service: Service, chest_file: Path
) -> None:
    image = sent(service, chest_file)
    first = done(service, image.id)
    again = service.submit(image.id, "tiny_ct")
    assert (again.state, again.key, again.files) == (DONE, first.key, first.files)
    assert again.found["measurements"] == first.found["measurements"]

    mask = service.file(first, "segmentation.nii.gz")
    right = mask.read_bytes()
    mask.write_bytes(b"something else")
    assert done(service, image.id).state == DONE
    assert mask.read_bytes() == right

    (service.results.of(first.key) / "measurements.csv").unlink()
    assert done(service, image.id).state == DONE
    assert (service.results.of(first.key) / "measurements.csv").is_file()

    shutil.rmtree(service.results.of(first.key))
    with pytest.raises(Missing, match="file"):
        service.file(first, "segmentation.nii.gz")
    assert done(service, image.id).state == DONE
    assert mask.read_bytes() == right


def test_the_same_image_under_another_id_takes_the_results_which_stay_while_a_job_has_them(
    service: Service, chest_file: Path
) -> None:
    one, two = sent(service, chest_file, "one.nii.gz"), sent(service, chest_file, "two.nii.gz")
    first = done(service, one.id)
    second = service.submit(two.id, "tiny_ct")
    assert (second.state, second.name) == (DONE, "two.nii.gz")
    others = [job.id for job in service.jobs.all() if job.key == first.key and job.id != second.id]
    for id_ in others:
        service.remove(id_)
    assert service.file(second, "run.json").is_file()
    service.remove(second.id)
    assert not service.results.of(first.key).exists()
    with pytest.raises(Missing, match="image"):
        service.images.get(two.id)
    with pytest.raises(Missing, match="job"):
        service.remove(second.id)


def test_what_is_not_there_is_missing_and_no_other_error(
    service: Service, chest_file: Path
) -> None:
    image = sent(service, chest_file)
    with pytest.raises(Missing, match="image"):
        service.submit("0" * 32, "tiny_ct")
    with pytest.raises(Missing, match="bundle"):
        service.submit(image.id, "no_such_bundle")
    for ask in (service.jobs.get, service.queue.cancel, service.remove):
        with pytest.raises(Missing, match="job"):
            ask("0" * 32)
    job = done(service, image.id)
    with pytest.raises(Missing, match="file"):
        service.file(job, "../image.json")


@pytest.mark.parametrize(
    ("bundle", "options", "words"),
    [
        ("tiny_ct", {"colour": 1}, "there is no option 'colour'"),
        ("tiny_ct", {"attention": "grad-cam"}, "for which there is no attention"),
        ("tiny_xray", {"gate": 0.5}, "for which there is no gate"),
        ("tiny_ct", {"gate": 1.5}, "0 to 1, or off"),
        ("tiny_ct", {"gate": True}, "0 to 1, or off"),
        ("tiny_ct", {"precision": "fp8"}, "fp32 or bf16"),
        ("tiny_ct", {"spacing": [1, 1]}, "three numbers"),
        ("tiny_ct", {"spacing": [1, 0, 1]}, "three numbers"),
        ("tiny_ct", {"strict": "yes"}, "true or false"),
        ("tiny_ct", {"series": ""}, "number, description or UID"),
    ],
)  # fmt: skip
def test_an_option_that_makes_no_sense_is_refused_before_it_waits(
    service: Service, chest_file: Path, bundle: str, options: dict[str, object], words: str
) -> None:
    image = sent(service, chest_file)
    with pytest.raises(Misused, match=words):
        service.submit(image.id, bundle, options)


def test_only_files_that_are_asked_for_are_written(service: Service, chest_file: Path) -> None:
    image = sent(service, chest_file)
    job = service.submit(image.id, "tiny_ct", formats=["seg", "nii"])
    job = service.jobs.wait(job.id, LONG_S)
    assert [*job.files] == ["segmentation.nii.gz", "segmentation.seg.nrrd", "run.json"]
    assert job.files["segmentation.nii.gz"] == "the labels, on the grid of the image"
    again = service.submit(image.id, "tiny_ct", formats=["nii", "seg"])
    assert (again.state, again.key) == (DONE, job.key)
    with pytest.raises(Misused, match="have no 'attention'"):
        service.submit(image.id, "tiny_ct", formats=["attention"])
    assert "summary.dcm" not in done(service, image.id).files  # the image is not DICOM


def test_an_image_that_cannot_be_read_is_refused_without_a_path_of_the_server(
    service: Service, tmp_path: Path, chest_file: Path
) -> None:
    cut = tmp_path / "cut.nii.gz"
    cut.write_bytes(chest_file.read_bytes()[:500])
    job = done(service, sent(service, cut).id)
    assert job.state == REFUSED
    assert job.error is not None
    assert job.error["code"] == "E_TRUNCATED"
    assert str(service.settings.folder) not in str(job.error)
    assert not service.results.of(job.key).exists()


def test_a_refusal_names_no_folder_of_the_server(service: Service) -> None:
    folder, bundle = service.settings.folder, service.bundles["tiny_ct"].folder
    reason = f"{bundle}/configs/a.json and {folder.resolve()}/images/1 do not fit."
    job = service.jobs.new(image="i", name="n", bundle="tiny_ct", options={}, key="", state=RUNNING)
    service.queue.lanes[0]._refuse(job, InputError("E_BUNDLE", bundle, reason, "Mend it."))
    error = service.jobs.get(job.id).error
    assert error is not None
    assert error["reason"] == "tiny_ct/configs/a.json and images/1 do not fit."
    service.remove(job.id)


def test_a_study_of_two_series_says_which_there_are(service: Service, tmp_path: Path) -> None:
    packed = two_series(tmp_path)
    image = sent(service, packed)
    job = done(service, image.id)
    assert job.state == REFUSED
    assert job.error is not None
    assert job.error["code"] == "E_SERIES"
    assert [(x["series"], x["words"]) for x in job.error["series"]] == [
        ("1", "thin · CT · 16 images · 4 mm apart · B70f · series 1"),
        ("2", "thick · CT · 16 images · 4 mm apart · B70f · series 2"),
    ]
    chosen = done(service, image.id, series="2")
    assert chosen.error is None
    assert {"segmentation.dcm", "report.dcm", "summary.dcm"} <= {*chosen.files}


def test_what_waits_too_long_or_is_too_much_goes(service: Service, chest_file: Path) -> None:
    image = sent(service, chest_file)
    unused = sent(service, chest_file)
    job = done(service, image.id)
    left = service.results.of("f" * 32)  # of a job that went while its results were held
    left.mkdir()
    with service.results.alone(left.name):
        service.sweep(now=job.ended + 3600 * 23.9)
        assert left.exists()
    service.sweep(now=job.ended + 3600 * 23.9)
    assert not left.exists()
    assert service.jobs.get(job.id) == job
    assert service.file(job, "segmentation.nii.gz").is_file()
    service.sweep(now=job.ended + 3600 * 24.1)
    assert service.jobs.all() == []
    assert service.images.all() == []
    assert [*service.results.folder.iterdir()] == []
    assert not unused.path.exists()


def test_a_folder_has_one_server_and_what_waits_is_done_by_the_next(
    service: Service, chest_file: Path
) -> None:
    folder = service.settings.folder.parent / "next"
    settings = replace(service.settings, folder=folder)
    first = Service(settings)
    try:
        with pytest.raises(InputError, match="another medvol serve uses this folder"):
            Service(settings)
        first.queue.close()
        image = sent(first, chest_file)
        job = first.submit(image.id, "tiny_ct", formats=["nii"])
    finally:
        first.close()
    again = Service(settings)
    try:
        over = again.jobs.wait(job.id, LONG_S)
        assert (over.state, over.error) == (DONE, None)
        before = again.file(over, "segmentation.nii.gz").stat().st_mtime_ns
        other = again.submit(sent(again, chest_file).id, "tiny_ct", formats=["nii"])
        assert (other.state, other.key) == (DONE, over.key)
        assert again.file(other, "segmentation.nii.gz").stat().st_mtime_ns == before
    finally:
        again.close()


def test_a_record_of_a_job_that_nobody_can_read_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"id": "a", "name": "Doe^John"}')
    (tmp_path / "b.json").write_text("{")
    assert Jobs(tmp_path).all() == []
    assert [*tmp_path.iterdir()] == []


def test_a_job_that_ends_its_server_twice_is_refused(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    job = jobs.new(image="i", name="n", bundle="b", options={}, key="k")
    for tries in (1, 2):
        assert jobs.next() == jobs.get(job.id)
        assert (jobs.get(job.id).state, jobs.get(job.id).tries) == ("running", tries)
        jobs = Jobs(tmp_path)  # as after a kill
    over = jobs.get(job.id)
    assert over.state == REFUSED
    assert over.error is not None
    assert over.error["reason"].startswith("the server ended 2 times")
    assert jobs.before() == {}


def test_the_oldest_jobs_go_where_there_are_too_many() -> None:
    jobs = [Job(str(n), "i", "n", "b", {}, "k", state=DONE, ended=float(n)) for n in range(5)]
    waits = Job("w", "i", "n", "b", {}, "k")
    gone = outlived([*jobs, waits], keep_h=1, most=3, now=10.0)
    assert [job.id for job in gone] == ["0", "1"]
    gone = outlived([*jobs, waits], keep_h=1, most=3, now=3600 + 3.5)
    assert [job.id for job in gone] == ["0", "1", "2", "3"]


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has these rights")
def test_a_new_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    lock = held(tmp_path / "state")
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    lock.release()
    held(tmp_path / "state").release()
