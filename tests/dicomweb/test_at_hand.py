# SPDX-License-Identifier: Apache-2.0
"""Folders of what was fetched: gone afterwards, also those of a run that was killed."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from archived import SERIES, STUDY, ct_study, give
from orthanc import Orthanc
from refusals import refused_by

from medvol.dicomweb.at_hand import AtHand
from medvol.dicomweb.client import Archive
from medvol.errors import InputError
from medvol.scratch import machine


def test_folders_go_and_refusals_name_addresses(
    archive: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(archive, ct_study(), tmp_path / "given")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
    (scratch / f"medvol-{gone}-{machine()}-killed" / "0").mkdir(parents=True)
    client = Archive(archive.address)
    study, series = client.address.of(STUDY), client.address.of(STUDY, SERIES)
    with AtHand() as hand:
        folder, found = hand.get(client, study)
        around, _ = hand.get(client, series, alone=True)
        (own,) = scratch.iterdir()  # what the killed one left is gone
        assert own.stat().st_mode & 0o777 == 0o700
        assert folder.name == study.case
        assert [path.name for path in around.iterdir()] == [series.case]
        assert len(found.files) == len([*folder.iterdir()]) == 8
        inside = InputError("E_CORRUPT", found.files[2], f"bad, see {folder}.", "Copy it.")
        told = hand.refusal(inside)
        assert (told.path, told.reason) == (str(study), f"bad, see {study}.")
        assert hand.shown(found.files[0]) == Path(study.case, "000001.dcm")
        assert hand.shown(tmp_path) == tmp_path
        refused_by(lambda: hand.get(client, client.address.of("1.2.3")), "E_ARCHIVE")
    assert [*scratch.iterdir()] == []


def test_a_stop_in_the_middle_leaves_nothing(
    archive: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(archive, ct_study(), tmp_path / "given")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    client = Archive(archive.address)

    def stop(*_: int) -> None:
        assert [*scratch.iterdir()] != []
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), AtHand() as hand:
        hand.get(client, client.address.of(STUDY), heard=stop)
    assert [*scratch.iterdir()] == []
