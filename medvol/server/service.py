# SPDX-License-Identifier: Apache-2.0
"""What all faces of a server stand on: bundles, images, jobs and their results; knows no HTTP."""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from .. import __version__
from ..bundle.find import find_bundle, shipped_bundles, user_folder
from ..bundle.permission import permit
from ..bundle.spec import Spec, read_spec
from ..dicomweb.client import Archive
from ..dicomweb.store import Stored as Sent
from ..engine.confine import Confinement
from ..engine.confined import reach
from ..engine.limits import Limits
from ..errors import InputError
from ..failures import FAILURES
from ..files import sha256_of
from ..manifest import manifest_of
from ..progress import Step
from ..tasks.task import NOT_ASKED, task_of
from .archived import Archived
from .counters import JOBS, REUSED, Counters
from .devices import workers_for
from .images import ARCHIVE, STUDIES, Images, Stored
from .jobs import DONE, Job, Jobs
from .keep import held, outlived
from .lane import Duty, Ready
from .options import checked, checked_formats
from .queue import Queue
from .refusals import Busy, Missing, Misused
from .results import ResultFolders
from .settings import Settings
from .studies import Ids, Looking, Studies, is_as_known

KEY_DIGITS = 32
DICOM = ".dcm"  # end of the names of results that an archive takes
SWEEP_S = 60.0  # between two looks for what is older than it may be
LOG = logging.getLogger(__package__)


class Bundles(dict[str, Spec]):
    """Name to spec of the bundles that are served; another name is `Missing`."""

    def __missing__(self, name: str) -> Spec:
        raise Missing("bundle")


class Service:
    """Bundles at work on images; safe to use from several threads.

    Args:
        settings: of the server.
        at_work: False starts no process and no thread, for what only asks which routes there are.

    Raises:
        InputError: E_BUNDLE, no such bundle, or two of one name; E_UNTRUSTED, one carries code that
            nobody accepted; E_OUTPUT, another server uses the folder; E_FAILED, no worker starts.
    """

    def __init__(self, settings: Settings, *, at_work: bool = True) -> None:
        self.settings = settings
        names = settings.bundles or [*shipped_bundles()]
        specs = [read_spec(find_bundle(name)) for name in names]
        self.bundles = Bundles({spec.name: spec for spec in specs})
        if len(self.bundles) < len(specs):
            reason = "two of the bundles that are to be served have this name."
            raise InputError("E_BUNDLE", _twice(specs), reason, "Serve one of them.")
        for spec in specs:
            permit(spec.folder)
        self.digests = {spec.name: _digest(spec) for spec in specs}
        self.started, self.counts = time.time(), Counters()
        self.studies: Studies | None = None
        self.archived: Archived | None = None
        self.looking: list[Looking] = []
        with ExitStack() as begun:
            begun.callback(held(settings.folder).release)
            self.results = ResultFolders(settings.folder / "results")
            self.images = Images(settings.folder / "images", largest_bytes=settings.largest_bytes)
            self.jobs = Jobs(settings.folder / "jobs")
            self.results.keep_only(self._keys)
            self.closing = threading.Event()
            workers = workers_for(settings.device) if at_work else []
            self.queue = Queue(self._duty(), settings.device, workers, engine=settings.engine)
            begun.callback(self.queue.close)
            self.sweeper = threading.Thread(target=self._keep_sweeping, name="sweeper", daemon=True)
            if at_work:
                self.sweeper.start()
                self._begin_looking(begun)
            self.ends = begun.pop_all()

    def _begin_looking(self, begun: ExitStack) -> None:
        """Know the images of the folder of studies and of the archive, now and later.

        Raises:
            InputError: E_PATH, no such folder; E_ARCHIVE, an address that cannot be used.
        """
        top, ids = self.settings.studies, Ids(self.settings.folder)
        if top is not None:
            if not top.is_dir():
                remedy = "Give a folder with images."
                raise InputError("E_PATH", top, "there is no such folder.", remedy)
            self.studies = Studies(top, self.images, ids)
            self.looking.append(Looking(self.studies.look, STUDIES))
            begun.callback(self.looking[-1].close)
            begun.callback(self.studies.close)
        if self.settings.archive:
            modalities = {spec.modality for spec in self.bundles.values() if spec.modality}
            archive = Archive(self.settings.archive)
            self.archived = Archived(archive, self.images, ids, modalities)
            self.looking.append(Looking(self.archived.look, ARCHIVE))
            begun.callback(self.looking[-1].close)

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
        self.queue.duty.bundles[spec.name] = spec.folder
        self.bundles = Bundles({**self.bundles, spec.name: spec})  # others may go over the old one
        return spec

    def submit(
        self, image: str, bundle: str, options: Mapping[str, Any] | None = None,
        formats: Sequence[str] | None = None,
    ) -> Job:  # fmt: skip
        """Run a bundle on an image as soon as those before it are done; at once where it was.

        Args:
            image: id of an image.
            bundle: name of a bundle that is served.
            options: some of `tasks.task.NOT_ASKED`.
            formats: of files, of `OUTPUTS`, for who does not wait for the others; None for all.

        Raises:
            Missing: no such image or bundle.
            Misused: an option or a format that makes no sense.
            Busy: too many jobs wait.
            InputError: E_NOSPACE, the job cannot be kept.
        """
        stored, spec = self.images.get(image), self.bundles[bundle]
        asked, formats = checked(spec, options), checked_formats(spec, formats)
        if stored.series and "series" in task_of(spec).options:
            asked.setdefault("series", stored.series)
        is_known = stored.sha256 and stored.origin not in (STUDIES, ARCHIVE)  # these may change
        key = self._key(stored, spec.name, asked, formats) if is_known else ""
        told = {"image": image, "name": stored.name, "bundle": bundle, "options": asked,
                "formats": formats, "key": key}  # fmt: skip
        if (job := self._known(told)) is not None:
            return job
        if len(self.jobs.before()) >= self.settings.most_waiting:
            raise Busy(f"{self.settings.most_waiting} jobs wait already.")
        return self.jobs.new(**told)

    def file(self, job: Job, name: str) -> Path:
        """Path of a file of a job's results.

        Args:
            job: that is done.
            name: of one of its files.

        Raises:
            Missing: it has no such file.
        """
        if job.state != DONE or name not in job.files:
            raise Missing("file")
        return self.results.file(job.key, name)

    def store(self, job: Job) -> Sent:
        """Send the DICOM results of a job to the archive.

        Args:
            job: that is done.

        Raises:
            Misused: there is no archive, or the job is not done.
            InputError: E_NOT_DICOM, the job has no DICOM files; E_ARCHIVE, the archive does not
                answer, or stored nothing.
        """
        if self.archived is None:
            raise Misused("this server has no archive.")
        if job.state != DONE:
            raise Misused(f"the job is {job.state}; there is nothing to store.")
        files = [self.file(job, name) for name in job.files if name.endswith(DICOM)]
        if not files:
            reason = "its image is not DICOM, so there is nothing that an archive takes."
            raise InputError("E_NOT_DICOM", "job", reason, "Run the bundle on the DICOM series.")
        return self.archived.store(files)

    def suited(self, stored: Stored) -> list[str]:
        """Names of the bundles that may take an image; all of them where its kind is not known.

        Args:
            stored: the image.
        """
        return [
            name for name, spec in self.bundles.items()
            if not stored.modalities or spec.modality is None or spec.modality in stored.modalities
        ]  # fmt: skip

    def remove(self, id_: str) -> None:
        """Cancel a job, and delete it with its results and, where no other job has it, its image.

        Raises:
            Missing: there is none of this id.
        """
        self.queue.cancel(id_)
        job = self.jobs.remove(id_)
        with self.results.alone(job.key, waits=False) as is_ours:  # else its worker looks at it
            if is_ours and not any(other.key == job.key for other in self.jobs.all()):
                self.results.discard(job.key)
        if not any(other.image == job.image for other in self.jobs.all()):
            self.remove_image(job.image)

    def remove_image(self, id_: str) -> None:
        """Delete an image that was sent; another one, or one that is not there, is passed by.

        Args:
            id_: of the image.
        """
        with suppress(Missing):
            if not self.images.get(id_).is_lent:
                self.images.remove(id_)

    def sweep(self, *, now: float | None = None) -> None:
        """Delete what is older than it may be: jobs that are over, and images that no job has.

        Args:
            now: seconds since 1970; None for this moment.
        """
        now = time.time() if now is None else now
        keep_h, most = self.settings.keep_h, self.settings.most_kept
        for job in outlived(self.jobs.all(), keep_h=keep_h, most=most, now=now):
            with suppress(Missing):
                self.remove(job.id)
        self.results.keep_only(self._keys)  # also of a job that went while its results were held
        at_work = {job.image for job in self.jobs.all() if not job.is_over}
        if self.archived is not None:
            self.archived.let_go(before=now - 3600 * keep_h, used=at_work)
        used = {job.image for job in self.jobs.all()}
        for stored in self.images.all():
            if stored.since < now - 3600 * keep_h and stored.id not in used:
                self.remove_image(stored.id)

    def close(self) -> None:
        """End the workers; what waits is done by the next server."""
        self.closing.set()
        self.ends.close()
        if self.sweeper.ident is not None:
            self.sweeper.join()

    def _keys(self) -> set[str]:
        return {job.key for job in self.jobs.all()}

    def _keep_sweeping(self) -> None:
        while not self.closing.wait(SWEEP_S):
            try:
                self.sweep()
            except FAILURES as error:  # the next look may do better
                LOG.warning("sweeping failed: %s", type(error).__name__)

    def _known(self, told: Mapping[str, Any]) -> Job | None:
        """A job that is done at once, since its results are there and no worker is at them.

        Args:
            told: fields of `Job`.
        """
        key = told["key"]
        with self.results.alone(key, waits=False) as is_ours:
            report = self.results.report(key) if key and is_ours else None
            if report is None:
                return None
            self.counts.add(REUSED)
            self.counts.add(JOBS, state=DONE)
            now = time.time()
            found = {**report.found, "remarks": [*report.remarks]}
            return self.jobs.new(
                **told, state=DONE, found=found, files=report.files, started=now, ended=now
            )

    def _prepared(self, job: Job, hear: Callable[[Step], None]) -> Ready:
        """The image of a job, with a key by its content.

        Raises:
            Missing: it was deleted.
        """
        hear(Step("read"))
        stored = self.images.get(job.image)
        if stored.origin == ARCHIVE and self.archived is not None:
            stored = self.archived.fetched(stored, hear)
        if not stored.sha256 or (stored.origin == STUDIES and not is_as_known(stored)):
            stored = self.images.update(stored.id, sha256=sha256_of(stored.path))
        return Ready(stored.path, self._key(stored, job.bundle, job.options, job.formats))

    def _key(
        self, stored: Stored, bundle: str, asked: Mapping[str, Any], formats: Sequence[str] | None
    ) -> str:
        """What decides about the results: image, bundle, settings, device and medvol itself."""
        parts = [
            __version__, stored.sha256, self.digests[bundle], {**NOT_ASKED, **asked},
            self.settings.device, formats, self.settings.engine.asked,
        ]  # fmt: skip
        text = json.dumps(parts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]

    def _duty(self) -> Duty:
        settings = self.settings
        return Duty(
            self.jobs, self.results, self._prepared,
            {name: spec.folder for name, spec in self.bundles.items()},
            Limits(settings.time_limit_s), self._confinement(), self.counts,
        )  # fmt: skip

    def _confinement(self) -> Confinement:
        """What the worker may reach: the bundles, the images, and of all else only its results."""
        given = [x for x in (self.settings.folder, self.settings.studies) if x is not None]
        with suppress(OSError):  # so that the worker may read bundles that are made later
            user_folder().mkdir(parents=True, exist_ok=True)
        read: set[str] = set()
        for spec in self.bundles.values():
            read.update(reach(spec.folder, read=given).read)
        return Confinement(tuple(sorted(read)), (str(self.results.folder.resolve()),))


def _twice(specs: Sequence[Spec]) -> str:
    """A name that more than one bundle has."""
    names = [spec.name for spec in specs]
    return next(name for name in names if names.count(name) > 1)


def _digest(spec: Spec) -> str:
    """Digest of a bundle's files, by which a changed bundle is another one."""
    return manifest_of(spec.folder).digest
