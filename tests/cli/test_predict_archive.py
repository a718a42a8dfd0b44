# SPDX-License-Identifier: Apache-2.0
"""`medvol predict` of a study in an archive, and results that go back into it."""

import json
from pathlib import Path

import numpy as np
import pytest
from archived import SERIES, STUDY, WHOLE, ct_study, give
from dicom_phantoms import write
from faulty_archive import answer, faulty_archive
from orthanc import Orthanc
from phantoms import save_nifti, tiny_chest
from refusals import refused_by
from tiny_bundle import tiny_brain_bundle, tiny_bundle, tiny_radiograph_bundle

from medvol.cli import main
from medvol.cli.archives import after
from medvol.dicomweb.address import opaque, parse_address
from medvol.errors import InputError
from medvol.outputs.archived import Storing, formats_to_store
from medvol.outputs.registry import Output
from medvol.tasks.predicting import Outcome

CASE = f"study_{opaque(STUDY)}"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundles") / "thresholds")


def predict(bundle: Path, output: Path, *words: object) -> int:
    given = [*map(str, words), "--bundle", str(bundle), "--output", str(output)]
    return main(["predict", *given, "--device", "cpu"])


def at(archive: Orthanc, study: str = STUDY, series: str = "") -> str:
    return f"{archive.address}/studies/{study}" + (f"/series/{series}" if series else "")


def test_a_study_is_predicted_as_its_folder_is(
    archive: Orthanc, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "given"
    give(archive, ct_study(slices=WHOLE), folder)
    quick = ("--format", "nii", "csv")
    assert predict(bundle, tmp_path / "of_folder", folder, *quick) == 0
    assert predict(bundle, tmp_path / "out", at(archive), *quick) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == [CASE]
    for name in ("segmentation.nii.gz", "measurements.csv"):
        assert (tmp_path / "out" / CASE / name).read_bytes() == (
            tmp_path / "of_folder" / "given" / name
        ).read_bytes()
    said = capsys.readouterr()
    assert f"medvol: {at(archive)} is {CASE}: 16 instances" in said.err
    assert predict(bundle, tmp_path / "out", at(archive), *quick) == 0
    assert f"{CASE}: complete already" in capsys.readouterr().out
    written = "".join(
        path.read_text(errors="replace")
        for path in tmp_path.rglob("out/**/*") if path.suffix in (".json", ".csv")
    )  # fmt: skip
    assert not any(word in written for word in (STUDY, "Secret", str(tmp_path / "scratch")))


def test_of_several_series_the_rules_of_a_folder_hold(
    archive: Orthanc, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    give(archive, ct_study(slices=WHOLE), tmp_path / "a")
    lung = ct_study(series=SERIES + ".5", slices=14, number=4, description="Lung 1.0")
    give(archive, lung, tmp_path / "b")
    out = tmp_path / "out"
    assert predict(bundle, out, at(archive), "--format", "nii") == 2
    said = capsys.readouterr().err
    assert f"E_SERIES {at(archive)}: it holds 2 series:" in said
    assert str(tmp_path) not in said
    assert predict(bundle, out, at(archive), "--format", "nii", "--series", "lung") == 0
    assert f"{CASE}: 14 instances" in capsys.readouterr().err  # the other was not fetched
    assert predict(bundle, out, at(archive), "--format", "nii", "--series", "9") == 2
    assert (
        "E_SERIES " + at(archive) + ": it holds no series '9'; there is "
        '1 "Chest" (CT, 16 images); 4 "Lung 1.0" (CT, 14 images).'
    ) in capsys.readouterr().err
    assert predict(bundle, tmp_path / "all", at(archive), "--format", "nii", "--all-series") == 0
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [
        f"{CASE}_series1", f"{CASE}_series4",
    ]  # fmt: skip
    one = at(archive, series=SERIES + ".5")
    assert predict(bundle, tmp_path / "one", one, "--format", "nii") == 0
    assert [p.name for p in (tmp_path / "one").iterdir()] == [f"series_{opaque(SERIES + '.5')}"]


def test_a_study_that_cannot_be_had_does_not_stop_the_others(
    archive: Orthanc, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    give(archive, ct_study(slices=WHOLE), tmp_path / "a")
    words = (at(archive, "1.2.3"), at(archive), "--format", "nii", "cases", "--json")
    assert predict(bundle, tmp_path / "out", *words) == 2
    said = capsys.readouterr()
    assert f"E_ARCHIVE {at(archive, '1.2.3')}: it has no such study" in said.err
    found = json.loads(said.out)["cases"]
    assert [(one["case"], one["image"], one["state"]) for one in found] == [
        (CASE, CASE, "predicted"),
        (f"study_{opaque('1.2.3')}", f"study_{opaque('1.2.3')}", "refused"),
    ]


def test_a_damaged_slice_is_named_by_its_address(
    archive: Orthanc, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = ct_study(slices=WHOLE)
    images[3].PixelData = images[3].PixelData[:100]
    give(archive, images, tmp_path / "a")
    assert predict(bundle, tmp_path / "out", at(archive)) == 2
    said = capsys.readouterr().err
    assert f"E_TRUNCATED {at(archive)}" in said
    assert str(tmp_path) not in said


def test_radiographs_are_called_by_their_study(
    archive: Orthanc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = np.linspace(0, 4095, 48 * 40).reshape(1, 48, 40).astype(np.uint16)
    images = ct_study(slices=1, Modality="DX")
    images[0].Rows, images[0].Columns = 48, 40
    images[0].PixelData = values.tobytes()
    images[0].SOPClassUID = images[0].file_meta.MediaStorageSOPClassUID = (
        "1.2.840.10008.5.1.4.1.1.1.1"
    )
    for name in ("RescaleSlope", "RescaleIntercept"):
        delattr(images[0], name)
    give(archive, images, tmp_path / "a")
    bundle = tiny_radiograph_bundle(tmp_path / "bundle")
    assert predict(bundle, tmp_path / "out", at(archive), "--format", "html") == 0, (
        capsys.readouterr().err
    )
    assert (tmp_path / "out" / CASE / "000001").is_dir()


def test_sequences_are_not_looked_for_in_an_archive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_brain_bundle(tmp_path / "brain")
    assert predict(bundle, tmp_path / "out", f"dicomweb+http://localhost:9/rs/studies/{STUDY}") == 2
    assert "E_BUNDLE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dicomweb+http://localhost/rs"], "names an archive, not a study"),
        (["dicomweb+http://a:b@localhost/rs/studies/1"], "a name or a password"),
        (["ct.nii.gz", "--store", "http://localhost/rs/studies/1"], "it names a study"),
        (["ct.nii.gz", "--store", "localhost"], "is not an address of an archive"),
    ],
)
def test_addresses_that_cannot_be_used(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(tmp_path, tmp_path / "out", *words) == 2
    assert said in capsys.readouterr().err


STAND_IN = {
    name: Output(name, f"{name}.dcm", "a stand-in", "", "record.write", of_dicom=True)
    for name in ("dicom-seg", "dicom-sr")
}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Outcome]:
    """DICOM files of a case in a folder of results, and what came of it."""
    monkeypatch.setattr("medvol.outputs.archived.OUTPUTS", STAND_IN)
    written = write(tmp_path / "out" / "a", ct_study(slices=2))
    names = [f"{name}.dcm" for name in STAND_IN]
    for path, name in zip(written, names, strict=True):
        path.rename(path.with_name(name))
    return tmp_path / "out", Outcome("a: no lesion found", {"files": dict.fromkeys(names, "")})


def test_results_are_stored_and_that_is_said(archive: Orthanc, made: tuple[Path, Outcome]) -> None:
    folder, outcome = made
    storing = Storing(parse_address(archive.address), folder)
    stored: dict[str, int] = {}
    found = after(storing, "a", outcome, stored)
    assert isinstance(found, Outcome)
    assert found.said == f"a: no lesion found; stored 2 objects in {archive.address}"
    assert stored == {"a": 2}
    assert len(archive.get("/instances")) == 2
    nothing = after(storing, "b", outcome._replace(found={"files": {"mask.nii": ""}}), {})
    assert "no DICOM results" in str(nothing)
    refusal = InputError("E_EMPTY", "b", "it is empty.", "Copy it.")
    assert after(storing, "b", refusal, {}) is refusal


def test_what_could_not_be_stored_is_a_refusal_and_the_files_stay(
    made: tuple[Path, Outcome],
) -> None:
    folder, outcome = made
    with faulty_archive() as faulty:
        faulty.replies["/studies"] = answer(b"[]")
        storing = Storing(parse_address(faulty.address), folder)
        failed = {"00081198": {"vr": "SQ", "Value": [
            {"00081155": {"vr": "UI", "Value": ["1.2"]},
             "00081197": {"vr": "US", "Value": [0xA700]}},
        ]}}  # fmt: skip
        said = []
        for reply in (answer(json.dumps(failed).encode(), status=202), answer(status=500)):
            faulty.replies["/studies"] = reply
            said.append(str(after(storing, "a", outcome, {})))
        assert "did not store 1 object: it has no room (A700). The files are kept" in said[0]
        assert "answers with an error (500 Internal" in said[1]
        assert len([*(folder / "a").iterdir()]) == 2
        faulty.replies["/studies"] = answer(status=401)
        refused_by(lambda: Storing(parse_address(faulty.address), folder), "E_ARCHIVE")


def test_results_go_into_the_study_that_they_are_of(
    archive: Orthanc, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    give(archive, ct_study(slices=WHOLE), tmp_path / "a")
    words = (at(archive), "--store", archive.address, "--json", "--format", "csv")
    for said in ("", "complete already"):  # the same objects, so that the archive has them once
        assert predict(bundle, tmp_path / "out", *words) == 0
        (case,) = json.loads(capsys.readouterr().out)["cases"]
        assert case["stored"] == 3
        assert archive.modalities() == ["CT", "OT", "SEG", "SR"]
        assert len(archive.get("/studies")) == 1
        assert len(archive.get("/instances")) == WHOLE + 3
        assert said == "" or case["state"] == "predicted"
    files = {path.name for path in (tmp_path / "out" / CASE).iterdir()}
    assert files == {
        "measurements.csv",
        "segmentation.dcm",
        "report.dcm",
        "summary.dcm",
        "run.json",
    }
    # what is stored does not change what is fetched
    assert predict(bundle, tmp_path / "out", *words[:3], "--format", "csv") == 0
    assert f"{CASE}: complete already" in capsys.readouterr().out


def test_an_image_without_a_patient_cannot_be_stored(
    archive: Orthanc, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chest = tiny_chest(noise_hu=5)
    path = save_nifti(tmp_path / "ct.nii.gz", chest.ct, chest.affine)
    assert predict(bundle, tmp_path / "out", path, "--store", archive.address) == 2
    assert "E_NOT_DICOM" in capsys.readouterr().err
    assert archive.get("/instances") == []


def test_dicom_is_written_where_it_is_stored() -> None:
    possible = ["nii", "preview", "csv", "json", "rle", "cases", "dicom-seg", "dicom-sr"]
    dicom = ["dicom-seg", "dicom-sr"]
    assert formats_to_store(None, possible, "volumes") == ["nii", "csv", "json", *dicom]
    assert formats_to_store(["csv"], possible, "volumes") == ["csv", *dicom]
    assert formats_to_store(["dicom-sr"], possible, "volumes") == ["dicom-sr"]
    assert formats_to_store(["dicom"], possible, "volumes") == dicom
