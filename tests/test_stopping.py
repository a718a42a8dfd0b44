# SPDX-License-Identifier: Apache-2.0
"""Signals that end a process raise `Stopped`, once, and only where nobody ignores them."""

import signal
import threading

import pytest

from medvol.stopping import Stopped, stoppable


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_raised_and_the_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as caught, stoppable():
        signal.raise_signal(number)
    assert caught.value.number == number
    assert isinstance(caught.value, KeyboardInterrupt)
    assert signal.getsignal(number) == before


def test_only_the_first_counts() -> None:
    cleaned = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGHUP)
            cleaned.append(True)

    with pytest.raises(Stopped), stoppable():
        work()
    assert cleaned == [True]


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_leaves_signals_alone() -> None:
    raised = []

    def work() -> None:
        try:
            with stoppable():
                pass
        except ValueError as error:  # what Python says of signals outside the main thread
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert raised == []
