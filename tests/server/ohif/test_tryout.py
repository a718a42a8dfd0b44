"""OHIF and an archive by one command: what is started, what it holds, and that nothing stays."""

import os
import stat
from pathlib import Path

import pytest
import requests
from archived import SERIES, STUDY, ct_study
from dicom_phantoms import write
from orthanc import PLUGINS, free_port
from refusals import refused_by
from viewer_build import make_build

from medvol.dicomweb.client import Archive
from medvol.dicomweb.credentials import PASSWORD, TOKEN, USER
from medvol.server.ohif import orthanc
from medvol.server.ohif.orthanc import PLUG_IN
from medvol.server.ohif.tryout import viewer
from medvol.server.settings import Settings

needs_orthanc = pytest.mark.skipif(
    not (PLUGINS / PLUG_IN).exists(), reason="Orthanc and its DICOMweb plug-in are not installed"
)


@needs_orthanc
def test_studies_lie_in_an_archive_that_ends_with_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(TOKEN, "of another archive")
    monkeypatch.delenv(USER, raising=False)
    write(tmp_path / "studies" / "one", ct_study())
    nameless = ct_study()
    for image in nameless:
        del image.StudyInstanceUID
    write(tmp_path / "studies" / "nameless", nameless)
    (tmp_path / "studies" / "notes.txt").write_text("no image", encoding="utf-8")
    build, kept = make_build(tmp_path / "dist"), tmp_path / "kept"
    given = Settings(tmp_path / "state", studies=tmp_path / "studies")
    with viewer(given, build, kept) as settings:
        assert (settings.ohif, settings.archive_takes, settings.studies) == (build, True, None)
        (series,) = Archive(settings.archive).series(STUDY)  # by the credentials of the environment
        assert (series.uid, series.instances) == (SERIES, 8)
        assert "8 of 16 DICOM files have no UID of study" in capsys.readouterr().err
        assert requests.get(f"{settings.archive}/studies", timeout=10).status_code == 401
        assert os.environ[PASSWORD] not in settings.archive
        assert stat.S_IMODE(kept.stat().st_mode) == 0o700
        assert stat.S_IMODE((kept / "orthanc.json").stat().st_mode) == 0o600
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{settings.archive}/studies", timeout=10)
    assert (os.environ[TOKEN], USER in os.environ) == ("of another archive", False)
    with viewer(given, build, kept) as settings:  # once more: nothing lies there twice
        assert [x.instances for x in Archive(settings.archive).series(STUDY)] == [8]


@needs_orthanc
def test_without_a_folder_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    with viewer(Settings(tmp_path / "state"), make_build(tmp_path / "dist"), None):
        assert [*(tmp_path / "tmp").iterdir()] != []
    assert [*(tmp_path / "tmp").iterdir()] == []


def test_an_archive_that_was_named_is_only_read(tmp_path: Path) -> None:
    archive = f"http://127.0.0.1:{free_port()}/dicom-web"
    given = Settings(tmp_path / "state", archive=archive)
    with viewer(given, make_build(tmp_path / "dist"), None) as settings:
        assert (settings.archive, settings.archive_takes) == (archive, False)


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def begun(build: Path) -> None:
        with viewer(Settings(tmp_path / "state"), build, tmp_path / "kept"):
            pass

    assert "make ohif" in refused_by(lambda: begun(tmp_path), "E_PATH").remedy
    monkeypatch.setattr(orthanc, "PROGRAM", "no-such-program")
    error = refused_by(lambda: begun(make_build(tmp_path / "dist")), "E_ARCHIVE")
    assert "--archive" in error.remedy
    assert not (tmp_path / "kept").exists()
