# SPDX-License-Identifier: Apache-2.0
"""Who listens hears where the work is, and sees it on a terminal."""

import sys

import pytest

from medvol.progress import LONGEST_NAME, STAGES, Bars, Step, heard_by, is_heard, shown, tell

WORK = [Step("read"), Step("network", 1, 3, "slice"), Step("network", 3, 3, "slice"),
        Step("write", remark="One\x1b[2J remark.")]  # fmt: skip


def lines(text: str) -> list[str]:
    """What was printed and stays or is drawn over."""
    pieces = text.replace("\r", "\n").replace("\x1b[A", "").split("\n")
    return [piece.strip() for piece in pieces if piece.strip()]


def test_only_the_last_listener_hears() -> None:
    first, second = [], []
    with heard_by(first.append):
        with heard_by(second.append), heard_by(None):
            tell(WORK[0])
        tell(WORK[1])
        assert is_heard()
    tell(WORK[2])
    assert not is_heard()
    assert (first, second) == ([WORK[1]], [WORK[0]])


def test_stages_of_a_single_case_stay_with_their_times(capsys: pytest.CaptureFixture[str]) -> None:
    with shown("chest"):
        for step in WORK:
            tell(step)
    said = lines(capsys.readouterr().err)
    assert [line.rpartition(" ")[0] for line in said if line.endswith(" s")] == [
        f"{STAGES[stage]} 0.0" for stage in ("read", "network", "write")
    ]
    assert any(line.startswith("chest: network") and "3/3" in line for line in said)
    assert "One\\x1b[2J remark." in said


def test_several_cases_get_a_bar_and_leave_only_what_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bars = Bars(2, unit="scan")
    for name in ("a", "b" * 40):
        bars.name = name
        for step in WORK[:3]:
            bars(step)
        bars.end_case()
        bars.say(f"{name} done", sys.stderr)
    bars.close()
    said = lines(capsys.readouterr().err)
    assert any("1/2" in line and "scan" in line for line in said)
    assert any(line.startswith(f"{'b' * (LONGEST_NAME - 1)}…: network") for line in said)
    assert not any(line.endswith(" s") for line in said)
    assert f"{'b' * 40} done" in said


@pytest.mark.parametrize(("stages", "heard"), [(True, True), (False, False)])
def test_cases_that_go_together_show_no_stage_but_loading(
    capsys: pytest.CaptureFixture[str], stages: bool, heard: bool
) -> None:
    bars = Bars(2, stages=stages)
    for stage in ("load", "prepare"):
        bars(Step(stage))
    bars.close()
    said = "\n".join(lines(capsys.readouterr().err))
    assert STAGES["load"] in said
    assert (STAGES["prepare"] in said) == heard


def test_nothing_is_shown_where_it_is_not_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    bars = Bars(2, shown=False)
    bars(WORK[1])
    bars.end_case()
    bars.close()
    assert capsys.readouterr().err == ""
