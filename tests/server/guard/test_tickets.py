"""Tickets: good for their use and time only."""

import pytest

from medvol.server.guard.tickets import (
    BEARER,
    COOKIE,
    LASTS_S,
    MOST_ADDRESSES,
    Wrong,
    is_ticket,
    ticket,
)


def test_a_ticket_is_good_for_its_time_and_use() -> None:
    given = ticket("token", COOKIE, now=1000)
    assert is_ticket("token", COOKIE, given, now=1000)
    assert is_ticket("token", COOKIE, given, now=1000 + LASTS_S - 1)
    assert not is_ticket("token", COOKIE, given, now=1000 + LASTS_S)
    assert not is_ticket("token", BEARER, given, now=1000)
    assert not is_ticket("other", COOKIE, given, now=1000)


@pytest.mark.parametrize("change", ["later", "shorter", "empty", "odd digits"])
def test_a_changed_ticket_is_worth_nothing(change: str) -> None:
    given = ticket("token", COOKIE, now=1000)
    ends, _, mark = given.partition(".")
    changed = {
        "later": f"{int(ends) + 1}.{mark}", "shorter": given[:-1], "empty": "",
        "odd digits": f"{ends}.{mark}".replace("4", "٤"),
    }[change]  # fmt: skip
    assert changed != given
    assert not is_ticket("token", COOKIE, changed, now=1000)


def test_wrong_tokens_are_counted_by_address_and_forgotten_after_a_minute() -> None:
    now = 0.0
    wrong = Wrong(lambda: now)
    for _ in range(9):
        wrong.add("a")
    assert wrong.wait_s("a") == 0
    wrong.add("a")
    now = 20.0
    assert wrong.wait_s("a") == 40
    assert wrong.wait_s("b") == 0
    now = 60.0
    assert wrong.wait_s("a") == 0


def test_the_count_does_not_grow_without_end() -> None:
    wrong = Wrong()
    for k in range(MOST_ADDRESSES + 10):
        wrong.add(str(k))
    assert len(wrong.times) == MOST_ADDRESSES
