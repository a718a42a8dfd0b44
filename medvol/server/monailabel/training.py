# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning a bundle on submitted labels: `medvol train` beside the server, one at a time.

    training/ID/task.json       what was asked for, and how it ended
    training/ID/data.json       the datalist, with the labels as they were then
    training/ID/run/            the run of `medvol train`
    training/ID/log.txt         what it printed

It ends with a new bundle in the user's folder, NAME_v2 and so on, which is served beside the old
one. No bundle is changed.
"""

import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...bundle.build import SOURCE
from ...bundle.find import user_folder
from ...bundle.spec import Spec
from ...data.datalist import Datalist
from ...engine.confine import environment
from ...errors import InputError
from ...failures import FAILURES, failure
from ...files import read_csv, read_json, write_json
from ..refusals import Busy, Missing
from ..service import Service
from .info import segments
from .numbering import counted_names
from .store import Store

FEWEST_LABELS = 2  # one case is trained on and measured on itself
EPOCHS = 20  # that go on from the bundle's weights, where nobody says how many
NICE = 10  # steps that others go before the training
POLL_S, END_S = 0.5, 20.0  # between two looks; for a process to end when it is asked to
RUNNING, DONE, ERROR, STOPPED = "RUNNING", "DONE", "ERROR", "STOPPED"
VERSION = re.compile(r"_v\d+$")
PROGRAM = (sys.executable, "-P", "-m", "medvol")  # no module of the current folder
# in a process of its own, since a first look at a bundle loads monai
LOOK = (sys.executable, "-P", "-c", "import sys; from pathlib import Path; "
        "from medvol.bundle.permission import permit; permit(Path(sys.argv[1]))")  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A training that was asked for.

    Args:
        id: of its folder.
        model: bundle that is gone on from.
        name: of the bundle that it ends with.
        labels: that it trains on.
        epochs: that it goes over them.
        started, ended: seconds since 1970; 0 where it has not come to that.
        status: one of `RUNNING`, `DONE`, `ERROR`, `STOPPED`.
        said: why it ended so, or empty.
    """

    id: str
    model: str
    name: str
    labels: int
    epochs: int
    started: float
    ended: float = 0.0
    status: str = RUNNING
    said: str = ""


class Trainings:
    """Trainings one after the other; safe to use from several threads.

    Args:
        service: that has the bundles, and serves the new ones.
        store: of the labels.
    """

    def __init__(self, service: Service, store: Store) -> None:
        self.service, self.store = service, store
        self.folder = service.settings.folder.resolve() / "training"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self.process: subprocess.Popen[bytes] | None = None
        self.watcher: threading.Thread | None = None
        self.tasks = sorted(self._on_disk(), key=lambda task: task.started)
        service.ends.callback(self._await)  # else a training would outlive its server

    @property
    def current(self) -> Task | None:
        """The training that runs."""
        task = self.last
        return task if task is not None and task.status == RUNNING else None

    @property
    def last(self) -> Task | None:
        """The training that was begun last."""
        with self.lock:
            return self.tasks[-1] if self.tasks else None

    def start(self, model: str, params: Mapping[str, Any]) -> Task:
        """Begin a training.

        Args:
            model: bundle to go on from.
            params: `epochs` counts; others are passed by.

        Raises:
            Missing: no such bundle, or one that cannot be trained.
            ValueError: a number of epochs that makes no sense.
            Busy: a training runs.
            InputError: E_EMPTY, there are too few labels.
        """
        spec = self.service.bundles[model]
        if not is_trainable(spec):
            raise Missing("trainer")
        epochs = _epochs(params)
        with self.lock:
            if self.current is not None:
                raise Busy("a training runs already.")
            datalist = self.store.datalist(counted_names(spec.labels))
            task = Task(
                secrets.token_hex(16), model, new_name(model), len(datalist.parts["training"]),
                epochs, time.time(),
            )  # fmt: skip
            if task.labels < FEWEST_LABELS:
                reason = f"{task.labels} submitted labels hold what {model} knows and nothing else"
                raise InputError(
                    "E_EMPTY", "datastore", f"{reason}; a training needs {FEWEST_LABELS}.",
                    "Submit more labels, with the names of this model.",
                )  # fmt: skip
            self._begin(task, spec, datalist)
            self.tasks.append(task)
        return task

    def stop(self) -> Task | None:
        """End the training that runs; None where none does."""
        with self.lock:
            task, process, watcher = self.current, self.process, self.watcher
            if task is None or process is None:
                return None
            self._change(task, status=STOPPED, ended=time.time())
        _end(process)
        if watcher is not None:
            watcher.join()
        return self.last

    def progress(self, task: Task) -> dict[str, Any]:
        """How far a training is: epochs done, of how many, best Dice and seconds, if over.

        Args:
            task: of this folder.
        """
        run = self.folder / task.id / "run"
        epoch, best = 0, 0.0
        # read here, since what writes them loads torch, which the server does without
        for record in run.rglob("progress.json"):
            with suppress(InputError, KeyError, TypeError):
                said = read_json(record, what="record", remedy="Train again.")
                epoch = max(epoch, int(said["epoch"]))
        for curves in run.rglob("curves.csv"):
            with suppress(OSError, KeyError, ValueError):
                dice = [float(x["value"]) for x in read_csv(curves) if "dice" in x["name"]]
                best = max([best, *dice])
        return {
            "epoch": epoch, "total_epochs": max(epoch, task.epochs), "best_metric": best,
            "total_time": round(task.ended - task.started) if task.ended else 0,
        }  # fmt: skip

    def _begin(self, task: Task, spec: Spec, datalist: Datalist) -> None:
        place = self.folder / task.id
        (place / "labels").mkdir(parents=True)
        for number, item in enumerate(datalist.content["training"]):
            label = Path(shutil.copy(item["label"], place / "labels" / f"{number:05d}.nii.gz"))
            item["label"] = str(label)
        datalist.write(place / "data.json")
        self._keep(task)
        words = [
            *PROGRAM, "train", str(spec.folder), "--data", str(place / "data.json"),
            "--name", task.name, "--output", str(place / "run"), "--set", f"epochs={task.epochs}",
        ]  # fmt: skip
        with (place / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=_environment(),
            )  # fmt: skip
        with suppress(OSError, AttributeError):  # a system without it, or it has just ended
            os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
        self.process = process
        self.watcher = threading.Thread(target=self._watch, args=(task, process), daemon=True)
        self.watcher.start()

    def _watch(self, task: Task, process: "subprocess.Popen[bytes]") -> None:
        while process.poll() is None:
            if self.service.closing.wait(POLL_S):
                self._change(task, status=STOPPED, ended=time.time(), said="the server ended")
                _end(process)
        try:
            said = self._served(task) if process.returncode == 0 else self._last_line(task)
        except FAILURES as error:  # else it would seem to run for ever
            said = failure(error, task.name).reason
        status = ERROR if said else DONE
        self._change(
            task, status=status, ended=time.time(), said=_without_places(said, self.folder)
        )

    def _served(self, task: Task) -> str:
        """Serve the bundle that a training made; nothing is said of it.

        Raises:
            InputError: as for `Service.add`.
        """
        made = user_folder() / task.name
        subprocess.run([*LOOK, str(made)], capture_output=True, check=False, env=_environment())
        self.service.add(made)
        return ""

    def _await(self) -> None:
        """Wait until the training has ended, which it does since the server ends."""
        if (watcher := self.watcher) is not None:
            watcher.join()

    def _last_line(self, task: Task) -> str:
        """What a training said last."""
        log = self.folder / task.id / "log.txt"
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it ended without a word"

    def _change(self, task: Task, **fields: Any) -> None:
        """Change the record of a training that runs; one that is over stays."""
        with self.lock:
            index = next(k for k, x in enumerate(self.tasks) if x.id == task.id)
            if self.tasks[index].status == RUNNING:
                self.tasks[index] = self._keep(replace(self.tasks[index], **fields))

    def _keep(self, task: Task) -> Task:
        write_json(self.folder / task.id / "task.json", asdict(task))
        return task

    def _on_disk(self) -> Sequence[Task]:
        """What an earlier server trained; its bundles are served again."""
        found = []
        for path in self.folder.glob("*/task.json"):
            with suppress(InputError, TypeError):
                task = Task(**read_json(path, what="record of a training", remedy="Train again."))
                if task.status == RUNNING:
                    task = self._keep(replace(task, status=ERROR, said="the server ended"))
                found.append(task)
                if task.status == DONE:
                    with suppress(*FAILURES):  # it was changed or taken away
                        self.service.add(user_folder() / task.name)
        return found


def is_trainable(spec: Spec) -> bool:
    """Whether a bundle has what another one is made from and trained with."""
    has_all = all((spec.folder / x).is_file() for x in (SOURCE, "configs/train.json"))
    return has_all and segments(spec)


def new_name(model: str) -> str:
    """Name of the next version of a bundle, which nobody has yet.

    Args:
        model: name of the bundle, perhaps with a version.
    """
    base, number = VERSION.sub("", model), 2
    while (user_folder() / f"{base}_v{number}").exists():
        number += 1
    return f"{base}_v{number}"


def _epochs(params: Mapping[str, Any]) -> int:
    try:
        epochs = int(params.get("epochs") or EPOCHS)
    except (TypeError, ValueError, OverflowError):
        epochs = 0
    if not 1 <= epochs <= 10_000:
        raise ValueError(f"epochs is {str(params.get('epochs'))[:40]!r}; give 1 to 10000")
    return epochs


def _without_places(text: str, folder: Path) -> str:
    for place in (folder, user_folder(), Path.home()):
        text = text.replace(f"{place}{os.sep}", "")
    return text


def _environment() -> dict[str, str]:
    """What a training is told of this process' environment: no credentials of an archive."""
    return {**environment(os.environ), "TMPDIR": tempfile.gettempdir()}


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and those that it started, on any system."""
    import psutil

    family: list[psutil.Process] = []
    with suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
    with suppress(OSError):
        process.terminate()
    for one in family:
        with suppress(psutil.Error):
            one.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for one in psutil.wait_procs(family, timeout=END_S)[1]:
        with suppress(psutil.Error):
            one.kill()
