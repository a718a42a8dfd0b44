# SPDX-License-Identifier: Apache-2.0
"""What came of a try as a state, its log, and an image out of an archive."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from medvol.cohort import unit as module
from medvol.cohort.ledger import DONE, FAILED, QUARANTINED, REFUSED
from medvol.cohort.plan import Unit
from medvol.cohort.unit import case_of, end_of, log_of, write_log
from medvol.cohort.waiting import Away
from medvol.dicomweb.at_hand import AtHand
from medvol.engine.process import Loss
from medvol.errors import InputError
from medvol.owned import FILES, RUN, write_record
from medvol.tasks.predicting import Outcome

UNIT = Unit("site/a", "dicomweb+https://archive.example/rs/studies/1.2", "bundle")


def refusal(code: str) -> InputError:
    return InputError(code, "ct.nii", "so it is.", "Mend it.")


def test_what_is_done_has_its_time_without_loading(tmp_path: Path) -> None:
    write_record(tmp_path / RUN, {FILES: {"a": "1"}, "peak_memory_bytes": 7})
    times = {"start": 0.5, "import": 2.0, "load": 1.0, "network": 3.0}
    found = {"times_s": times}
    end = end_of(Outcome("", found), tmp_path, seconds=7.0, tries=0)
    assert (end.state, end.said["seconds"], end.said["peak_bytes"]) == (DONE, 3.5, 7)
    assert "new" not in end.said
    again = end_of(Outcome("", found, is_new=False), tmp_path, seconds=0.1, tries=0)
    assert again.said["new"] is False
    with pytest.raises(InputError, match="E_NOSPACE"):
        end_of(Outcome("", found), tmp_path / "none", seconds=7.0, tries=0)


@pytest.mark.parametrize(
    ("code", "lost", "tries", "state"),
    [("E_DIMS", False, 0, REFUSED), ("E_FAILED", False, 0, FAILED), ("E_CHANGED", False, 0, FAILED),
     ("E_TOO_BIG", False, 1, REFUSED), ("E_ARCHIVE", False, 0, FAILED),
     ("E_ARCHIVE", False, 1, REFUSED), ("E_FAILED", False, 1, QUARANTINED),
     ("E_TOO_BIG", True, 1, QUARANTINED), ("E_NOSPACE", True, 0, FAILED),
     ("E_FAILED", True, 1, QUARANTINED)],
)  # fmt: skip
def test_what_may_pass_is_tried_twice(code: str, lost: bool, tries: int, state: str) -> None:
    loss = Loss("SIGKILL", 3 << 20, ("last words",)) if lost else None
    end = end_of(refusal(code), Path(), seconds=1.0, tries=tries, loss=loss, stage="network")
    assert end.state == state
    assert end.said["code"] == code
    assert end.said.get("tries", 0) == (0 if code == "E_DIMS" else tries + 1)
    if lost:
        assert (end.said["signal"], end.said["stage"]) == ("SIGKILL", "network")
        assert end.log[1:] == (
            "signal: SIGKILL", "peak memory: 3 MiB", "last stage: network", "  last words",
        )  # fmt: skip


def test_a_log_holds_each_try_once(tmp_path: Path) -> None:
    said = {"host": "node1", "pid": 7, "tries": 1}
    for state, tries in ((FAILED, 1), (FAILED, 1), (QUARANTINED, 2)):
        write_log(tmp_path, UNIT, state, {**said, "tries": tries}, ["E_FAILED why\x1b[2J"])
    text = log_of(tmp_path, UNIT.key).read_text()
    assert log_of(tmp_path, UNIT.key) == tmp_path / "logs" / "bundle" / "site" / "a.txt"
    assert text == (
        f"bundle/site/a: failed, try 1, node1 7\nimage: {UNIT.path}\nE_FAILED why\\x1b[2J\n\n"
        f"bundle/site/a: quarantined, try 2, node1 7\nimage: {UNIT.path}\nE_FAILED why\\x1b[2J\n"
    )


def test_logs_of_all_names_lie_apart(tmp_path: Path) -> None:
    keys = [f"bundle/{case}" for case in ("a", "a.txt/b", "a.txt_/b", "A.TXT/c", "a.txt.txt/b")]
    logs = [log_of(tmp_path, key) for key in keys]
    for log in logs:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(str(log))
    assert [log.read_text() for log in logs] == list(map(str, logs))
    names = [log.relative_to(tmp_path / "logs" / "bundle").as_posix() for log in logs]
    assert names == [
        "a.txt", "a.txt_/b.txt", "a.txt__/b.txt", "A.TXT_/c.txt", "a.txt.txt_/b.txt",
    ]  # fmt: skip


class Archive:
    """An archive that gives files, or fails."""

    def __init__(self, files: int = 1, fails: str = "", down: bool = False) -> None:
        self.files, self.fails, self.down = files, fails, down
        self.session = SimpleNamespace(where="")

    def fetch(self, study: str, series: str | None, folder: Path, **_: object) -> SimpleNamespace:
        if self.fails:
            raise InputError(self.fails, f"{study} {series}", "it does not work.", "Try again.")
        return SimpleNamespace(files=[folder / f"{number}.dcm" for number in range(self.files)])

    def check(self) -> None:
        if self.down:
            raise InputError("E_ARCHIVE", "archive", "it cannot be reached.", "Look.")


def test_a_study_of_an_archive_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "open_archive", lambda _: Archive())
    with AtHand() as hand:
        case = case_of(UNIT, hand, alone=False)
        assert Path(case.path).is_dir()
        assert (case.name, case.series) == ("site/a", None)
        assert Path(case_of(UNIT, hand, alone=True).path).name == "0.dcm"
    assert not Path(case.path).exists()


def test_several_radiographs_are_no_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "open_archive", lambda _: Archive(files=2))
    with AtHand() as hand, pytest.raises(InputError, match="it holds 2 radiographs"):
        case_of(UNIT, hand, alone=True)


@pytest.mark.parametrize(("down", "kind"), [(True, Away), (False, InputError)])
def test_an_archive_that_is_away_is_not_the_fault_of_a_study(
    monkeypatch: pytest.MonkeyPatch, down: bool, kind: type[InputError]
) -> None:
    monkeypatch.setattr(module, "open_archive", lambda _: Archive(fails="E_ARCHIVE", down=down))
    with AtHand() as hand, pytest.raises(InputError) as caught:
        case_of(UNIT, hand, alone=False)
    assert type(caught.value) is kind


def test_credentials_that_are_missing_here_are_no_study_s_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(_: object) -> Archive:
        raise InputError("E_ARCHIVE", "https://pacs", "it has no credentials.", "Give a token.")

    monkeypatch.setattr(module, "open_archive", refused)
    with AtHand() as hand, pytest.raises(Away, match="no credentials"):
        case_of(UNIT, hand, alone=False)
