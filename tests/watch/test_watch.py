# SPDX-License-Identifier: Apache-2.0
"""`medvol watch` of a real archive and of folders: once, again, after a stop, with faults."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archived import SERIES, STUDY, WHOLE, ct_study, give
from dicom_phantoms import write
from faulty_archive import answer, faulty_archive
from orthanc import Orthanc
from phantoms import save_nifti, tiny_chest
from radiographs import chest_like, save_picture
from tiny_bundle import tiny_brain_bundle, tiny_bundle, tiny_radiograph_bundle

from medvol.cli import main
from medvol.cli import watch as command
from medvol.dicomweb.address import opaque
from medvol.dicomweb.client import Archive
from medvol.dicomweb.credentials import Credentials
from medvol.dicomweb.store import Stored
from medvol.errors import InputError
from medvol.outputs.results import Results
from medvol.watch.ledger import NAME
from medvol.watch.sources import ArchiveSource

CASE = f"series_{opaque(SERIES)}"
NOW = ("--once", "--settle", "0")
OTHER = "1.2.826.0.1.3680043.8.498.8"


def watch(source: object, bundle: Path, output: Path, *words: object) -> int:
    given = [str(source), "--bundle", str(bundle), "--output", str(output), *map(str, words)]
    return main(["watch", *given, "--device", "cpu", "--format", "nii"])


def entries(output: Path, *states: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (output / NAME).read_text().splitlines()]
    return [entry for entry in found if entry["state"] in states]


def test_what_fits_is_predicted_once(
    archive: Orthanc, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    give(archive, ct_study(slices=WHOLE, BodyPartExamined="CHEST"), tmp_path / "a")
    scout = ct_study(series=SERIES + ".0", slices=2, number=2, description="Topogram")
    give(archive, scout, tmp_path / "b")
    give(archive, ct_study(study=OTHER, series=OTHER + ".1", Modality="MR"), tmp_path / "c")
    out = tmp_path / "out"
    rules = ("--body-part", "CHEST", "--description", "chest")
    assert watch(archive.address, bundle, out, *NOW, *rules) == 0
    assert sorted(path.name for path in out.iterdir()) == [CASE, NAME, f"{NAME}.lock"]
    (done,) = entries(out, "done")
    assert (done["study"], done["series"], done["stamp"]) == (STUDY, SERIES, "16")
    assert done["cases"] == [CASE]
    assert "ground-glass opacity" in done["answers"][0]
    assert [entry["study"] for entry in entries(out, "passed")] == []  # the archive left it out
    said = capsys.readouterr()
    assert f" {CASE}: " in said.out
    assert not any(word in said.out + said.err for word in (STUDY, "Secret"))
    assert watch(archive.address, bundle, out, *NOW, *rules) == 0
    assert capsys.readouterr().out == ""
    assert len(entries(out, "started")) == 1
    more = ct_study(series=SERIES + ".5", slices=14, number=5, BodyPartExamined="CHEST")
    give(archive, more, tmp_path / "d")
    assert watch(archive.address, bundle, out, *NOW, *rules, "--all-series") == 0
    assert [entry["series"] for entry in entries(out, "done")] == [SERIES, SERIES + ".5"]


def test_a_study_that_still_grows_is_left(
    archive: Orthanc, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = ct_study(slices=WHOLE)
    give(archive, images[:12], tmp_path / "a")

    def sleep(seconds: float) -> None:
        assert 0 < seconds <= 60
        give(archive, images[12:], tmp_path / "b")

    monkeypatch.setattr("medvol.cli.watch.time.sleep", sleep)
    assert watch(archive.address, bundle, tmp_path / "out", "--once", "--settle", "60") == 0
    assert entries(tmp_path / "out", "started") == []
    assert len(entries(tmp_path / "out", "seen")) == 2


def test_what_a_kill_left_is_done_and_what_is_done_is_not_computed_again(
    archive: Orthanc, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(archive, ct_study(slices=WHOLE), tmp_path / "a")
    out, save, saved = tmp_path / "out", Results.save, []

    def stopped(*_: object) -> list[str]:
        raise KeyboardInterrupt

    def counted(results: Results, answer: Any) -> list[str]:
        saved.append(answer.case)
        return save(results, answer)

    monkeypatch.setattr(Results, "save", stopped)
    assert watch(archive.address, bundle, out, *NOW) == 130
    assert [entry["state"] for entry in entries(out, "started", "stopped", "done")] == [
        "started", "stopped",
    ]  # fmt: skip
    monkeypatch.setattr(Results, "save", counted)
    assert watch(archive.address, bundle, out, *NOW) == 0
    assert saved == [CASE]
    lines = (out / NAME).read_text().splitlines()
    (out / NAME).write_text("\n".join(lines[:-1]) + "\n")  # killed before it said so
    assert watch(archive.address, bundle, out, *NOW) == 0
    assert saved == [CASE]
    (done,) = entries(out, "done")
    assert "complete already" in done["answers"][0]


def test_results_are_stored_and_do_not_start_anything(
    archive: Orthanc, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    give(archive, ct_study(slices=WHOLE), tmp_path / "a")
    out, store = tmp_path / "out", ("--store", archive.address)
    send, sent = Archive.store, []

    def fails(found: Archive, files: list[Path]) -> Stored:
        sent.append(len(files))
        if len(sent) == 1:
            raise InputError("E_ARCHIVE", str(found.address), "it has no room.", "Try again.")
        return send(found, files)

    monkeypatch.setattr(Archive, "store", fails)
    assert watch(archive.address, bundle, out, *NOW, *store) == 2
    (entry,) = entries(out, "not stored")
    assert (entry["code"], entry["tries"], entry["cases"]) == ("E_ARCHIVE", 1, [CASE])
    assert "It is tried again later." in capsys.readouterr().err
    assert (out / CASE / "segmentation.dcm").is_file()
    assert watch(archive.address, bundle, out, *NOW, *store) == 0  # it is too early
    assert sent == [3]
    monkeypatch.setattr("medvol.watch.watcher.RETRY_S", 0.0)
    assert watch(archive.address, bundle, out, *NOW, *store) == 0
    assert archive.modalities() == ["CT", "OT", "SEG", "SR"]
    (done,) = entries(out, "done")
    assert (done["stored"], len(done["results"])) == (3, 3)
    assert len(entries(out, "started")) == 1  # it was not predicted again to be stored
    words = [f"{archive.address}/studies/{STUDY}", "--bundle", str(bundle), "--format", "csv"]
    same = ["--store", archive.address, "--output", str(tmp_path / "predicted"), "--device", "cpu"]
    assert main(["predict", *words, *same]) == 0
    assert archive.modalities() == ["CT", "OT", "SEG", "SR"]  # the same UIDs, so no copies
    any_kind = ("--modality", "CT", "OT", "SEG", "--min-images", "1", "--all-series")
    assert watch(archive.address, bundle, out, *NOW, *store, *any_kind) == 0
    assert len(entries(out, "started")) == 1
    # another watch does not know them by its ledger, but by what made them
    other = tmp_path / "other"
    assert watch(archive.address, bundle, other, *NOW, *any_kind) == 2
    assert [x["series"] for x in entries(other, "done")] == [SERIES]
    (passed,) = entries(other, "waiting")
    assert "nothing in it but what medvol made" in passed["reason"]


def test_what_is_refused_is_said_and_does_not_stop_the_others(
    archive: Orthanc, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = ct_study(study=OTHER, series=OTHER + ".1", slices=WHOLE)
    del broken[7]
    give(archive, broken, tmp_path / "a")
    give(archive, ct_study(slices=WHOLE), tmp_path / "b")
    out = tmp_path / "out"
    assert watch(archive.address, bundle, out, *NOW) == 2
    (refused,) = entries(out, "refused")
    assert (refused["series"], refused["code"]) == (OTHER + ".1", "E_SERIES")
    assert [entry["series"] for entry in entries(out, "done")] == [SERIES]
    assert f"{opaque(OTHER + '.1')}: E_SERIES" in capsys.readouterr().err
    assert watch(archive.address, bundle, out, *NOW) == 0


def test_only_new_leaves_what_is_there(archive: Orthanc, bundle: Path, tmp_path: Path) -> None:
    give(archive, ct_study(slices=WHOLE), tmp_path / "a")
    out = tmp_path / "out"
    assert watch(archive.address, bundle, out, *NOW, "--only-new") == 0
    new = ct_study(study=OTHER, series=OTHER + ".1", slices=WHOLE)
    give(archive, new, tmp_path / "b")
    assert watch(archive.address, bundle, out, *NOW, "--only-new") == 0
    assert [entry["study"] for entry in entries(out, "done")] == [OTHER]


def test_only_studies_of_the_last_days_are_looked_at(
    archive: Orthanc, bundle: Path, tmp_path: Path
) -> None:
    give(archive, ct_study(slices=WHOLE), tmp_path / "a")  # of 1970
    today = f"{datetime.now():%Y%m%d}"
    new = ct_study(study=OTHER, series=OTHER + ".1", slices=WHOLE, StudyDate=today)
    give(archive, new, tmp_path / "b")
    out = tmp_path / "out"
    assert watch(archive.address, bundle, out, *NOW, "--days", "3") == 0
    assert [(x["study"], x["images"]) for x in entries(out, "seen")] == [(OTHER, WHOLE)]
    assert [x["study"] for x in entries(out, "done")] == [OTHER]


def test_an_archive_that_neither_looks_at_modalities_nor_counts() -> None:
    def found(uid: str, modality: str) -> dict[str, Any]:
        return {"0020000D": {"vr": "UI", "Value": [uid]}, "00080061": {"Value": [modality]}}

    with faulty_archive() as faulty:
        both = json.dumps([found(STUDY, "CT"), found(OTHER, "MR")]).encode()
        series = json.dumps([{"0020000E": {"vr": "UI", "Value": [SERIES]}}]).encode()
        images = [{"00080018": {"vr": "UI", "Value": [f"{SERIES}.{k}"]}} for k in range(3)]
        faulty.replies = {
            "/series": answer(series), "/studies": answer(both),
            "/instances": answer(json.dumps(images).encode()),
        }  # fmt: skip
        source = ArchiveSource(Archive(faulty.address, Credentials()), modality=["CT"])
        (item,) = source.poll(())
        assert (item.study, item.stamps) == (STUDY, {SERIES: "3"})
        assert source.poll([SERIES])[0].series == ()
        assert not any(OTHER in path for path in faulty.paths())


def test_another_version_does_it_again_if_asked(archive: Orthanc, tmp_path: Path) -> None:
    give(archive, ct_study(slices=WHOLE), tmp_path / "a")
    out = tmp_path / "out"
    first = tiny_bundle(tmp_path / "first" / "thresholds")
    second = tiny_bundle(tmp_path / "second" / "thresholds", metadata={"version": "9.9.9"})
    assert watch(archive.address, first, out, *NOW) == 0
    assert watch(archive.address, second, out, *NOW) == 0
    assert len(entries(out, "done")) == 1
    assert watch(archive.address, second, out, *NOW, "--new-version") == 0
    assert [entry["bundle"].split()[1] for entry in entries(out, "done")][1] == "9.9.9"


def forever(monkeypatch: pytest.MonkeyPatch, *between: Callable[[], object]) -> None:
    """Let a watch go on while things happen between its looks, and stop it then."""
    happens = list(between)

    def sleep(_: float) -> None:
        if not happens:
            raise KeyboardInterrupt
        happens.pop(0)()

    monkeypatch.setattr(command.time, "sleep", sleep)


def test_it_goes_on_until_it_is_stopped(
    archive: Orthanc, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "out"
    forever(
        monkeypatch,
        lambda: give(archive, ct_study(slices=WHOLE), tmp_path / "a"),
        lambda: None,
        lambda: give(archive, ct_study(study=OTHER, series=OTHER + ".1", slices=WHOLE),
                     tmp_path / "b"),
    )  # fmt: skip
    assert watch(archive.address, bundle, out, "--settle", "0") == 130
    assert [entry["study"] for entry in entries(out, "done")] == [STUDY, OTHER]
    assert capsys.readouterr().err == "medvol: stopped\n"


def test_a_folder_of_dicom_in_any_folders(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    inbox, out = tmp_path / "inbox", tmp_path / "out"
    inbox.mkdir()
    images = ct_study(slices=WHOLE)
    write(inbox / "one", images)
    cut = write(inbox / "two", ct_study(study=OTHER, series=OTHER + ".1", slices=WHOLE))[3]
    whole = cut.read_bytes()
    cut.write_bytes(whole[:300])
    assert watch(inbox, bundle, out, *NOW) == 2
    (refused,) = entries(out, "refused")
    assert refused["code"] in ("E_TRUNCATED", "E_CORRUPT", "E_FORMAT")
    assert [entry["series"] for entry in entries(out, "done")] == [SERIES]
    cut.write_bytes(whole)
    assert watch(inbox, bundle, out, *NOW) == 0
    assert [entry["study"] for entry in entries(out, "done")] == [STUDY, OTHER]
    assert (out / CASE / "segmentation.nii.gz").is_file()
    assert watch(inbox, bundle, inbox / "out", *NOW) == 2
    assert "E_OUTPUT" in capsys.readouterr().err


def test_files_that_lie_amiss_do_not_end_a_watch(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    inbox, out = tmp_path / "inbox", tmp_path / "out"
    write(inbox, ct_study(slices=WHOLE))
    chest = tiny_chest(noise_hu=5)
    beside = save_nifti(inbox / "ct.nii.gz", chest.ct, chest.affine)
    forever(monkeypatch, lambda: None, beside.unlink, lambda: None)
    assert watch(inbox, bundle, out, "--settle", "0") == 130
    said = capsys.readouterr().err
    assert said.count("E_FORMAT") == 1  # of two looks
    assert [entry["series"] for entry in entries(out, "done")] == [SERIES]


def test_a_folder_of_files(bundle: Path, tmp_path: Path) -> None:
    inbox, out = tmp_path / "inbox", tmp_path / "out"
    chest = tiny_chest(noise_hu=5)
    path = save_nifti(inbox / "ct.nii.gz", chest.ct, chest.affine)
    assert watch(inbox, bundle, out, *NOW) == 0
    (done,) = entries(out, "done")
    assert done["cases"] == [f"ct_{opaque('ct.nii.gz')[:6]}"]
    save_nifti(path, np.flip(chest.ct, 0).copy(), chest.affine)
    assert watch(inbox, bundle, out, *NOW) == 0
    assert len(entries(out, "done")) == 2


def test_radiographs(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    save_picture(inbox / "a.png", chest_like(0))
    bundle = tiny_radiograph_bundle(tmp_path / "bundle")
    words = ["watch", str(inbox), "--bundle", str(bundle), "--output", str(tmp_path / "out")]
    assert main([*words, *NOW, "--device", "cpu"]) == 0
    (done,) = entries(tmp_path / "out", "done")
    assert (tmp_path / "out" / done["cases"][0] / "report.html").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--every", "0"), "give numbers above 0"),
        (("--min-images", "0"), "give 1 or more"),
        (("--description", "("), "not a regular expression"),
        (("--store", "nowhere"), "E_ARCHIVE nowhere"),
    ],
)
def test_options_that_make_no_sense(
    bundle: Path, tmp_path: Path, words: tuple[str, ...], said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert watch(tmp_path, bundle, tmp_path / "out", *words) == 2
    assert said in capsys.readouterr().err


def test_sources_that_are_not_there(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("medvol.dicomweb.session.WAITS_S", ())
    assert watch(tmp_path / "absent", bundle, tmp_path / "out", *NOW) == 2
    assert "E_PATH" in capsys.readouterr().err
    nobody = "dicomweb+http://127.0.0.1:1/rs"
    assert watch(nobody, bundle, tmp_path / "out", *NOW) == 2
    assert f"E_ARCHIVE {nobody}: it cannot be reached" in capsys.readouterr().err
    forever(monkeypatch, lambda: None)
    assert watch(nobody, bundle, tmp_path / "out") == 130
    assert capsys.readouterr().err.count("E_ARCHIVE") == 1  # said once
    brain = tiny_brain_bundle(tmp_path / "brain")
    assert watch(tmp_path, brain, tmp_path / "out", *NOW) == 2
    assert "E_BUNDLE" in capsys.readouterr().err
