# SPDX-License-Identifier: Apache-2.0
"""Architectures beside each other: each entry is trained on the same split, validation decides.

An entry that is done is not trained again; one that was stopped goes on from its last epoch; one
that failed is tried again at the next start. Several processes can work on one folder.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from ..errors import InputError
from ..files import read_json, write_entries
from ..report.leaderboard import Row, draw_leaderboard, ranked, write_leaderboard
from .launch import alone, claim, run_bundle, side_by_side, threads_of
from .training import Training
from .trial import BEST, CHANGES, Halted, Outcome, clean, count_parameters, run_trial

RESULT, TABLE, PICTURE, OVERLAY = "result.json", "leaderboard.csv", "leaderboard.png", "winner.json"
ENTRIES, TEST = "entries", "test"
EVALUATE = "evaluate.json"
Say = Callable[[Row], None]


class Comparison:
    """Entries of a comparison in a folder, new or gone on with.

    Args:
        training: what all entries have in common.
        entries: name to settings, id to value.
        folder: for the entries and the leaderboard.
    """

    def __init__(
        self, training: Training, entries: Mapping[str, Mapping[str, Any]], folder: Path
    ) -> None:
        self.training = training
        self.entries = entries
        self.folder = folder

    def folder_of(self, name: str) -> Path:
        return self.folder / ENTRIES / name

    def run(self, *, jobs: int = 1, say: Say = lambda _: None) -> None:
        """Train what is not done; `say` is told each that ended.

        Raises:
            InputError: E_FORMAT, an entry was trained with other settings; E_NOSPACE, something
                cannot be written.
        """
        for name in self.entries:
            self._check(name)
        threads, begin = threads_of(jobs), time.time()
        names: SimpleQueue[str] = SimpleQueue()
        for name in self.entries:
            names.put(name)

        def work(halt: threading.Event) -> None:
            while not halt.is_set():
                try:
                    row = self._train(names.get_nowait(), halt, threads, begin)
                except (Empty, Halted):
                    return
                if row is not None:
                    say(row)

        side_by_side([work] * jobs, jobs)
        with alone(self.folder):
            self._write()
            if self.winner is not None:
                draw_leaderboard(self.folder / PICTURE, self.rows, metric=self.training.metric)

    def _train(self, name: str, halt: threading.Event, threads: int, begin: float) -> Row | None:
        """Train one entry; None where it is done, or another process has it."""
        folder = self.folder_of(name)
        right = claim(folder)
        if right is None:
            return None
        try:
            result = folder / RESULT
            if result.is_file():
                before = self._row(name)
                if before.value is not None or result.stat().st_mtime >= begin:
                    return None
            outcome = run_trial(
                self.training, self.entries[name], folder, threads=threads, halt=halt
            )
            with alone(self.folder):
                self._record(name, outcome)
                self._write()
            return self._row(name)
        finally:
            right.release()

    def _check(self, name: str) -> None:
        """Refuse results of the same name and other settings."""
        path = self.folder_of(name) / CHANGES
        if path.is_file():
            wanted = json.loads(json.dumps(self.training.changes(self.entries[name])))
            if read_json(path, what="record", remedy="Remove its folder.") != wanted:
                raise InputError(
                    "E_FORMAT", path, f"{name} was trained with other settings.",
                    "Give the entry another name, or choose another output folder.",
                )  # fmt: skip

    def _record(self, name: str, outcome: Outcome) -> None:
        parameters = count_parameters(self.training, self.folder_of(name) / CHANGES)
        value = None if outcome.stopped == "failed" else outcome.figures[self.training.metric]
        figures = {} if value is None else dict(outcome.figures)
        row = Row(name, value, parameters, outcome.seconds, outcome.epochs, outcome.best_epoch,
                  figures, outcome.stopped, outcome.reason)  # fmt: skip
        write_entries(self.folder_of(name) / RESULT, row._asdict())

    def _row(self, name: str) -> Row:
        return Row(**read_json(self.folder_of(name) / RESULT, what="record",
                                 remedy="Remove its folder."))  # fmt: skip

    @property
    def rows(self) -> list[Row]:
        """Entries that have ended, the best first."""
        return ranked(
            [self._row(n) for n in self.entries if (self.folder_of(n) / RESULT).is_file()]
        )

    @property
    def winner(self) -> Row | None:
        """The best by validation; None while none has a figure."""
        return next((row for row in self.rows if row.value is not None), None)

    def _write(self) -> None:
        """Table, and the winner as a config; only the winner's weights are kept."""
        rows, winner = self.rows, self.winner
        write_leaderboard(self.folder / TABLE, rows)
        if winner is None:
            return
        write_entries(self.folder / OVERLAY, dict(self.entries[winner.name]))
        for row in rows:
            if row.value is not None:
                clean(self.folder_of(row.name), keep_weights=row.name == winner.name)

    def test(self, settings: Mapping[str, Any]) -> Path:
        """Measure the winner, and no other, with the bundle's evaluate.json.

        Args:
            settings: id to value laid over the configs, such as those that choose the test part.

        Returns:
            The folder with what the evaluation writes.

        Raises:
            InputError: E_BUNDLE, it has no evaluate.json.
            ValueError: there is no winner.
            subprocess.CalledProcessError: the evaluation failed; the log in the folder says why.
        """
        winner = self.winner
        if winner is None:
            raise ValueError("no entry has a figure, so there is no winner to test")
        evaluate = self.training.bundle / "configs" / EVALUATE
        if not evaluate.is_file():
            raise InputError(
                "E_BUNDLE", evaluate, "the bundle has no such config.", "Leave --test out."
            )
        own, folder = self.folder_of(winner.name), self.folder / TEST
        wanted = {"output_dir": folder.absolute(), "ckpt_path": (own / BEST).absolute(), **settings}
        configs = [*self.training.configs, own / CHANGES, evaluate]
        run_bundle(self.training.bundle, configs, wanted, threads=threads_of(1))
        return folder
