# SPDX-License-Identifier: Apache-2.0
"""What fails in passing is tried again for a while, and said once."""

import re
from functools import partial
from pathlib import Path

import pytest

from medvol.cohort import waiting as module
from medvol.cohort.waiting import MANY, Away, Patience, check_images, is_passing
from medvol.errors import InputError

FULL = InputError("E_NOSPACE", "out", "it could not be written.", "Free some space.")


class Clock:
    """Seconds that pass by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def failing(errors: list[InputError]) -> str:
    if errors:
        raise errors.pop(0)
    return "done"


def test_pauses_grow_and_both_ends_are_said_once(clock: Clock) -> None:
    said: list[str] = []
    patience = Patience(3600.0, said.append)
    errors = [FULL] * 8
    assert patience.until(lambda: failing(errors)) == "done"
    assert clock.pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert said == [f"{FULL} It is tried again, for up to 60 minutes.", "it goes on"]
    assert patience.until(lambda: "at once") == "at once"
    assert len(said) == 2
    errors = [FULL]
    patience.until(lambda: failing(errors))
    assert clock.pauses[-1] == 1  # from the beginning again


def test_it_is_given_up_in_the_end(clock: Clock) -> None:
    patience = Patience(100.0, lambda _: None)
    with pytest.raises(InputError, match="E_NOSPACE"):
        patience.until(lambda: failing([FULL]))
    assert 100 <= clock.now < 100 + 60


def test_what_does_not_pass_is_raised_at_once(clock: Clock) -> None:
    with pytest.raises(InputError, match="E_BUNDLE"):
        Patience(100.0, print).until(lambda: failing([InputError("E_BUNDLE", "b", "no.", "Mend.")]))
    assert clock.pauses == []


def test_a_share_and_an_archive_that_do_not_answer_pass() -> None:
    share = "the disk or network share does not answer (Stale file handle)."
    assert is_passing(InputError("E_PATH", "ct.nii", share, "Connect it again."))
    assert is_passing(Away("E_ARCHIVE", "dicomweb+http://x", "it cannot be reached.", "Try again."))
    assert not is_passing(InputError("E_ARCHIVE", "dicomweb+http://x", "no such study.", "Look."))


def test_a_folder_of_images_that_is_gone_or_empty_is_away(tmp_path: Path) -> None:
    """All images of the plan lay in it, one of them deeper."""
    folder = tmp_path / "share"
    images = [str(folder / "ct.nii"), str(folder / "a" / "b" / "ct.nii"), "dicomweb+http://x/y"]
    (tmp_path / "beside").touch()
    for action in (lambda: None, folder.mkdir):
        action()
        for path in images[:2]:
            with pytest.raises(Away, match=r"E_PATH .*share: the folder of the images is not th"):
                check_images(path, images)
    (folder / "other.nii").touch()
    for path in images[:2]:
        check_images(path, images)


def test_one_share_of_two_is_away_and_one_patient_is_not(tmp_path: Path) -> None:
    """A folder with many images of the plan is waited for; one with a few was taken away."""
    there = tmp_path / "there" / "ct.nii"
    there.parent.mkdir()
    there.touch()
    for number, is_away in ((MANY - 1, False), (MANY, True)):
        gone = [str(tmp_path / "gone" / f"{n}" / "ct.nii") for n in range(number)]
        like = [str(tmp_path / "gone_not" / "ct.nii")]  # begins alike, and lies elsewhere
        check = partial(check_images, gone[0], [str(there), *gone, *like])
        if is_away:
            with pytest.raises(Away, match=rf"E_PATH {re.escape(str(tmp_path / 'gone'))}: "):
                check()
        else:
            check()
