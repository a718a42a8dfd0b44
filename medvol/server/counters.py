# SPDX-License-Identifier: Apache-2.0
"""What a server counts of its work since it started, as Prometheus takes it."""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

Labels = tuple[tuple[str, str], ...]


class Metric(NamedTuple):
    """A figure that is told.

    Args:
        name: without the prefix.
        kind: "counter", which only grows, or "gauge".
        help: what it is, in words.
    """

    name: str
    kind: str
    help: str


JOBS = Metric("jobs_total", "counter", "jobs that ended, by how")
REUSED = Metric("jobs_reused_total", "counter", "jobs that took results which were there")
STAGES = Metric("stage_seconds_total", "counter", "time of jobs that were done, by stage")
RESTARTS = Metric("worker_restarts_total", "counter", "workers that were replaced")
LEFT_OUT = frozenset('\\"\n')


class Counters:
    """Counters; safe to use from several threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values: dict[Metric, dict[Labels, float]] = defaultdict(lambda: defaultdict(float))

    def add(self, metric: Metric, number: float = 1, **labels: str) -> None:
        """Count something.

        Args:
            metric: a counter.
            number: 0 or more, by which it grows, in its unit.
            labels: that tell it apart from others of the same name.
        """
        with self.lock:
            self.values[metric][tuple(labels.items())] += number

    def all(self) -> list[tuple[Metric, dict[Labels, float]]]:
        """Every counter with its values."""
        with self.lock:
            return [(metric, dict(values)) for metric, values in self.values.items()]


def as_text(metrics: Iterable[tuple[Metric, Mapping[Labels, float]]], *, prefix: str) -> str:
    """Metrics in Prometheus' text format, version 0.0.4.

    Args:
        metrics: each with a value for each set of labels.
        prefix: of all names.

    Example:
        >>> queue = Metric("waiting", "gauge", "jobs that wait")
        >>> print(as_text([(queue, {(): 3.0})], prefix="medvol_"), end="")
        # HELP medvol_waiting jobs that wait
        # TYPE medvol_waiting gauge
        medvol_waiting 3
    """
    lines = []
    for metric, values in metrics:
        name = prefix + metric.name
        lines += [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind}"]
        for labels, value in values.items():
            inside = ",".join(f'{key}="{_plain(text)}"' for key, text in labels)
            lines.append(f"{name}{{{inside}}} {value:.10g}" if labels else f"{name} {value:.10g}")
    return "".join(f"{line}\n" for line in lines)


def _plain(text: str) -> str:
    return "".join(letter for letter in text if letter not in LEFT_OUT)
