# SPDX-License-Identifier: Apache-2.0
"""What all faces of a server stand on: bundles, images, jobs and their results; knows no HTTP."""

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import __version__
from ..bundle.find import find_bundle, shipped_bundles
from ..bundle.permission import permit
from ..bundle.spec import Spec, read_spec
from ..engine.confine import Confinement
from ..engine.confined import reach
from ..engine.limits import Limits
from ..manifest import manifest_of
from .images import Images, Stored
from .jobs import DONE, WAITING, Job, Jobs
from .queue import Queue
from .settings import Settings
from .work import NOT_ASKED

KEY_DIGITS = 32
SWEEP_S = 60.0  # between two looks for what is older than it may be


class Busy(Exception):
    """Too many jobs wait."""


class Service:
    """Bundles at work on images, one after the other; safe to use from several threads.

    Args:
        settings: of the server.

    Raises:
        InputError: E_BUNDLE, no such bundle; E_UNTRUSTED, one carries code that nobody accepted.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        names = settings.bundles or [*shipped_bundles()]
        specs = [read_spec(find_bundle(name)) for name in names]
        self.bundles: Mapping[str, Spec] = {spec.name: spec for spec in specs}
        for spec in specs:
            permit(spec.folder)
        self.digests = {spec.name: _digest(spec) for spec in specs}
        self.results = settings.folder / "results"
        self.results.mkdir(parents=True, exist_ok=True)
        self.images = Images(settings.folder / "images", largest_bytes=settings.largest_bytes)
        self.jobs = Jobs(settings.folder / "jobs")
        self.closing = threading.Event()
        self.queue = Queue(
            self.jobs, self.results, lambda job: self.images.get(job.image).path,
            {spec.name: spec.folder for spec in specs}, device=settings.device,
            limits=Limits(settings.time_limit_s), confinement=self._confinement(),
        )  # fmt: skip
        self.sweeper = threading.Thread(target=self._keep_sweeping, name="sweeper", daemon=True)
        self.sweeper.start()

    def add(self, folder: Path) -> Spec:
        """Serve one more bundle from now on, beside the others.

        Args:
            folder: of the bundle, in the user's folder of bundles, which the worker may read.

        Raises:
            InputError: E_BUNDLE, it is none; E_UNTRUSTED, it carries code that nobody accepted.
        """
        spec = read_spec(folder)
        permit(spec.folder)
        self.digests[spec.name] = _digest(spec)
        self.queue.bundles = {**self.queue.bundles, spec.name: spec.folder}
        self.bundles = {**self.bundles, spec.name: spec}
        return spec

    def submit(
        self, image: str, bundle: str, options: Mapping[str, Any] | None = None
    ) -> Job:  # fmt: skip
        """Run a bundle on an image as soon as those before it are done; at once where it was.

        Args:
            image: id of an image.
            bundle: name of a bundle that is served.
            options: some of `work.NOT_ASKED`.

        Raises:
            KeyError: no such image or bundle.
            ValueError: another option.
            Busy: too many jobs wait.
        """
        asked = dict(options or {})
        if wrong := sorted(set(asked) - set(NOT_ASKED)):
            raise ValueError(f"unknown options {wrong}; give some of {', '.join(NOT_ASKED)}")
        stored, spec = self.images.get(image), self.bundles[bundle]
        if stored.series and not asked.get("series"):
            asked["series"] = stored.series
        key = self._key(stored, spec, asked)
        jobs = self.jobs.all()
        told = {"image": image, "name": stored.name, "bundle": bundle, "options": asked, "key": key}
        if before := next((x for x in jobs if x.key == key and x.state == DONE), None):
            told.update(state=DONE, found=before.found, files=before.files)
            now = time.time()
            return self.jobs.new(**told, started=now, ended=now)
        if sum(job.state == WAITING for job in jobs) >= self.settings.most_waiting:
            raise Busy(f"{self.settings.most_waiting} jobs wait already; try again later")
        return self.jobs.new(**told)

    def file(self, job: Job, name: str) -> Path:
        """Path of a file of a job's results.

        Args:
            job: that is done.
            name: of one of its files.

        Raises:
            KeyError: it has no such file.
        """
        if job.state != DONE or name not in job.files:
            raise KeyError(name)
        return self.results / job.key / name

    def remove(self, id_: str) -> None:
        """Cancel a job, and delete it with its results and, where no other job has it, its image.

        Raises:
            KeyError: there is none of this id.
        """
        self.queue.cancel(id_)
        job = self.jobs.remove(id_)
        others = self.jobs.all()
        if not any(other.key == job.key for other in others):
            shutil.rmtree(self.results / job.key, ignore_errors=True)
        if not any(other.image == job.image for other in others):
            self.remove_image(job.image)

    def remove_image(self, id_: str) -> None:
        """Delete an image that was sent; one that lies elsewhere or is gone is passed by."""
        try:
            if not self.images.get(id_).is_lent:
                self.images.remove(id_)
        except KeyError:
            return

    def sweep(self, *, now: float | None = None) -> None:
        """Delete what is older than it may be: jobs that are over, and images that no job has.

        Args:
            now: seconds since 1970; None for this moment.
        """
        oldest = (time.time() if now is None else now) - 3600 * self.settings.keep_h
        for job in self.jobs.all():
            if job.is_over and job.ended < oldest:
                self.remove(job.id)
        used = {job.image for job in self.jobs.all()}
        for stored in self.images.all():
            if stored.since < oldest and stored.id not in used:
                self.remove_image(stored.id)

    def close(self) -> None:
        """End the worker; what waits is done by the next server."""
        self.closing.set()
        self.queue.close()
        self.sweeper.join()

    def _keep_sweeping(self) -> None:
        while not self.closing.wait(SWEEP_S):
            self.sweep()

    def _key(self, stored: Stored, spec: Spec, asked: Mapping[str, Any]) -> str:
        """What decides about the results: image, bundle, settings, device and medvol itself."""
        parts = [
            __version__, stored.sha256, self.digests[spec.name], {**NOT_ASKED, **asked},
            self.settings.device,
        ]  # fmt: skip
        text = json.dumps(parts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]

    def _confinement(self) -> Confinement:
        """What the worker may reach: the bundles, the images, and of all else only its results."""
        given = [x for x in (self.settings.folder, self.settings.studies) if x is not None]
        read: set[str] = set()
        for spec in self.bundles.values():
            read.update(reach(spec.folder, read=given).read)
        return Confinement(tuple(sorted(read)), (str(self.results.resolve()),))


def _digest(spec: Spec) -> str:
    """Digest of a bundle's files, by which a changed bundle is another one."""
    return manifest_of(spec.folder).digest
