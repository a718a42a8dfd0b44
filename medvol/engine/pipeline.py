# SPDX-License-Identifier: Apache-2.0
"""A bundle's parts on images: prepare, network within memory, restore; timed, for every task."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from monai.data import MetaTensor
from monai.inferers import SimpleInferer
from monai.transforms import Compose

from ..answer import Run
from ..bundle.config import Config, last_line
from ..bundle.foreign import id_of
from ..bundle.spec import Spec, check_chain
from ..bundle.weights_record import check_trained
from ..errors import InputError, Note, refusal_behind
from ..failures import FAILURES, of_the_system
from ..images.image import Image
from ..images.unchanged import check_unchanged
from ..inferers.precision import PrecisionInferer
from ..kinds import is_of
from ..metrics.likeness import Likeness, read_likeness
from ..networks.averaged import AveragedNetwork
from ..networks.weights import load_weights, record_in
from ..progress import Step, tell
from ..transforms.keys import noted, notes_of
from .backends.backend import Backend
from .backends.choose import choose_backend, keeper, remembered_choice
from .configured import configured
from .devices import (
    choose_device,
    infer_within_memory,
    kept,
    restore_within_memory,
    settings_of,
    sliding_window,
)
from .explained import explained
from .free_cores import take_threads
from .items import items_of
from .lung_box import Part, check_lungs, on_the_whole, part_with_lungs
from .memory import check_preparing, make_room, peak_bytes
from .settings import LUNGS, USUAL, EngineSettings
from .steps import (
    IMAGE,
    PRED,
    Data,
    reads_its_own_way,
    spacing_of,
    tensor_of,
    without_loading,
    without_writing,
)
from .streaming import Streaming, streams
from .substitutes.registry import INFERERS, POSTPROCESSING, PREPROCESSING
from .substitutes.rule import Rule, Substitution, substitute, taken_out
from .substitutes.windows import equal_inferer
from .windows import watched

SLICES = "slices"
LIKENESS = "likeness.npz"  # in models/, see `metrics.likeness`
READING = "medvol's readers", "checks, any format"
WRITING = "medvol's outputs", "as --format says"


class Prepared(NamedTuple):
    """An image as the network sees it: {"image": (C, *spatial)}, and seconds that it took."""

    image: Image
    data: Data
    times_s: dict[str, float]


class Processed(NamedTuple):
    """What the bundle's postprocessing gave for an image, and how it came about."""

    image: Image
    data: Data
    run: Run


class Pipeline:
    """The parts of a bundle that one prediction runs, built once and with weights.

    Reading and writing of files are taken out of the bundle's transforms: they are stages of their
    own.

    Args:
        spec: of the bundle.
        device: "auto", "cpu" or "cuda".
        precision: "fp32" or "bf16"; None keeps the bundle's own.
        gate: threshold of the bundle's gate, 0 to 1, or "off"; None keeps the bundle's own.
        any_reader: medvol reads in place of whatever the bundle's chain reads with; False: only in
            place of its own readers, and a chain with another one is given the path.
        engine: how its network is run, and whether faster equals take the place of its parts.

    Attributes:
        network: in evaluation mode, on `device`, weights loaded.
        inferer: runs the network over windows.
        fingerprint: of the chain that prepares; None for a chain that has none.
        spacing_mm: of the network's input, None when it is not resampled.
        precision, threads: that the network runs in, and by, see `free_cores`.
        as_stored: its chain takes the image in the type that it is stored in.
        streams: scores are restored plane by plane, and never exist as a whole.
        backend: that runs the network; None where the bundle's inferer runs it as it stands.
        substitutions: what became of each part of the bundle.
        notes: on the bundle itself, which go with every answer.
        likeness: of the pictures that the bundle was trained on; None where it does not tell.

    Raises:
        InputError: E_BUNDLE, the config cannot be read, a part is missing or cannot be built, the
            weights do not fit, or belong to another chain or task; a threshold for a bundle without
            a gate; a crop to the lungs for one that takes no CT. E_LABELS, the weights were trained
            for other labels or classes.
        ValueError: no such device or precision.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        device: str = "auto",
        precision: str | None = None,
        gate: float | str | None = None,
        any_reader: bool = True,
        engine: EngineSettings = USUAL,
    ) -> None:
        self.spec = spec
        self.engine = engine
        if engine.crop == LUNGS:
            check_lungs(spec)
        self.device = choose_device(device)
        config = configured(spec, self.device, gate=gate, mirror=engine.mirror)
        self.code = config.code
        preprocessing = _chain(_built(config, "preprocessing"))
        postprocessing = _chain(_built(config, "postprocessing"))
        self.items = items_of(preprocessing, postprocessing.transforms)
        self.fingerprint: str | None = getattr(preprocessing, "fingerprint", None)
        check_chain(spec, self.fingerprint)
        self.notes = check_trained(spec, record_in(spec.weights))
        self.likeness = _likeness(spec)
        network = _built(config, "network").to(self.device)
        load_weights(spec.weights, network, names=spec.output_names)
        self.network: torch.nn.Module = network.eval()
        self.substitutions: list[Substitution] = []
        inferer = _built(config, "inferer") or SimpleInferer()  # as MONAI's evaluators
        self.inferer = _in_precision(inferer, precision)
        self.precision: str = getattr(self.inferer, "precision", "fp32")
        self.backend: Backend | None = None
        self.threads = take_threads(engine.threads)
        if not engine.stock:
            self._choose_backend(precision)
        self.spacing_mm = spacing_of(preprocessing)
        self.steps: list[Any] = without_writing(preprocessing.flatten().transforms)
        self.reads_itself = not any_reader and any(reads_its_own_way(s) for s in self.steps)
        steps = self.steps if self.reads_itself else without_loading(self.steps)
        self.substitutions += taken_out(self.steps, steps, "reading", READING)
        steps = self._equals(steps, PREPROCESSING, "preprocessing")
        self.as_stored = bool(steps) and getattr(steps[0], "takes_any_dtype", False)
        self._prepare = Compose(steps)
        steps = without_writing(postprocessing.transforms)
        self.restore = Compose(self._equals(steps, POSTPROCESSING, "postprocessing"))
        self.streams = streams(self.inferer, self.restore)
        self.substitutions += taken_out(postprocessing.transforms, steps, "writing", WRITING)

    def _choose_backend(self, asked: str | None) -> None:
        """Take the network from an inferer that sets its precision, and give it to a backend."""
        if is_of(self.inferer, PrecisionInferer):
            self.inferer = self.inferer.inferer
        kind = self.device.type
        self.backend, why = choose_backend(
            self.network, precision=self.precision, engine=self.engine,
            choice=remembered_choice(self.spec, self.engine, device=kind, precision=asked),
            keep=keeper(self.spec, self.engine, device=kind, precision=asked),
        )  # fmt: skip
        name = type(self.network).__name__
        self.substitutions.append(Substitution("network", (name,), self.backend.name, why))
        self.inferer, said = equal_inferer(self.inferer, INFERERS)
        self.substitutions += said
        windows = sliding_window(self.inferer)
        if windows is not None:
            windows.sw_batch_size = self.backend.batch or windows.sw_batch_size

    def _equals(self, steps: Sequence[Any], rules: Sequence[Rule], part: str) -> list[Any]:
        """The steps, with faster equals in the place of those that have one."""
        found = substitute(steps, () if self.engine.stock else rules, part=part)
        self.substitutions += found.said
        return found.steps

    def run(self, image: Image) -> Processed:
        """One volume through all parts, within the memory there is.

        Args:
            image: with its voxels and their place.

        Raises:
            InputError: E_TOO_BIG, more memory needed than there is; E_BUNDLE, a part failed.
            MemoryError, OSError: memory, disk or network share failed, see `of_the_system`; also
                as the cause of another error.
        """
        windows = sliding_window(self.inferer)
        part = part_with_lungs(image) if self.engine.crop == LUNGS else Part(image, None, "")
        with torch.inference_mode(), kept(windows):
            check_preparing(self, part.image)
            prepared = self.prepare(part.image)
            remarks = make_room(self, part.image, prepared.data[IMAGE].shape[1:])
            _, data, run = self.run_batch([prepared], [*remarks, *filter(None, [part.remark])])[0]
        return Processed(image, on_the_whole(data, part, image, pred=PRED, slices=SLICES), run)

    def prepare(self, image: Image) -> Prepared:
        """Lead one image through the bundle's chain.

        Raises:
            InputError: E_BUNDLE, the chain failed; E_CHANGED, it read another file than medvol;
                or what a part of medvol in it refuses.
        """
        times: dict[str, float] = {}
        with self._stage("prepare", "preprocessing", times):
            if self.reads_itself and image.in_memory:
                raise InputError(
                    "E_BUNDLE", self.spec.folder, "its chain reads its images itself, from files.",
                    "Give the path of a file.",
                )  # fmt: skip
            given = os.fspath(image.path) if self.reads_itself else tensor_of(image, self.as_stored)
            data = self.items.prepared(self._prepare(self.items.given(given)))
            kept_data = cast(Data, noted(data, *self._unlike(data[IMAGE])))
            prepared = Prepared(image, kept_data, times)
            if self.reads_itself:
                check_unchanged(image)
            return prepared

    def run_batch(
        self, images: Sequence[Prepared], remarks: Sequence[str] = ()
    ) -> list[Processed]:  # fmt: skip
        """Prepared images of one shape through the network together, and each back by itself.

        Args:
            images: at least one.
            remarks: on what was given up for memory before.

        Raises:
            InputError: E_BUNDLE, a part failed.
        """
        times: dict[str, float] = {}
        with torch.inference_mode():
            if len(images) == 1 and self.streams:
                return [self._streamed(images[0], remarks)]
            with self._stage("network", "network", times):
                batch = _batch([image.data[IMAGE] for image in images])
                network, inferer = self.backend or self.network, self.inferer
                with watched(network, inferer, batch.shape) as counted:
                    scores, given_up = infer_within_memory(inferer, batch, counted, self.device)
            share = {stage: seconds / len(images) for stage, seconds in times.items()}
            return [
                self._restored(image, scores[index], share, [*remarks, *given_up])
                for index, image in enumerate(images)
            ]

    def _restored(
        self, image: Prepared, scores: Any, times: Mapping[str, float], remarks: list[str]
    ) -> Processed:
        spent = {**image.times_s, **times}
        with self._stage("restore", "postprocessing", spent):
            given = {**image.data, PRED: scores}
            data, given_up = restore_within_memory(self.restore, given, PRED)
        return self._processed(image, data, spent, [*remarks, *given_up])

    def _streamed(self, image: Prepared, remarks: Sequence[str]) -> Processed:
        """One image whose scores are restored plane by plane while the network runs."""
        spent, whole = dict(image.times_s), dict[str, float]()
        first, *others = self.restore.transforms
        with self._stage("network", "postprocessing", whole):
            batch = _batch([image.data[IMAGE]])
            with watched(self.backend or self.network, self.inferer, batch.shape) as counted:
                guard = partial(self._refusing, "network")
                streaming = Streaming(self.inferer, first, image.data, guard)
                data, given_up = infer_within_memory(streaming, batch, counted, self.device)
            del batch
            data = cast(Data, Compose(others)(data))
        spent["network"] = streaming.network_s
        spent["restore"] = whole["network"] - streaming.network_s
        return self._processed(image, data, spent, [*remarks, *given_up])

    def _processed(
        self, image: Prepared, data: Data, spent: dict[str, float], remarks: Sequence[str]
    ) -> Processed:
        data = self.items.answered(data, image.data)
        run = Run(
            device=str(self.device),
            precision=self.precision,
            chain_fingerprint=self.fingerprint,
            times_s=spent,
            peak_memory_bytes=peak_bytes(),
            remarks=tuple(remarks),
            settings=self.settings,
            engine=explained(self),
            notes=(*self.notes, *notes_of(data)),
        )
        return Processed(image.image, data, run)

    @property
    def settings(self) -> dict[str, Any]:
        """What the record names of inferer and backend."""
        own = self.network.settings if is_of(self.network, AveragedNetwork) else {}
        backend = {} if self.backend is None else {"backend": self.backend.name}
        more = {} if self.backend is None else self.backend.settings
        return {**settings_of(self.inferer), **own, **backend, **more}

    def _unlike(self, prepared: Any) -> tuple[Note, ...]:
        """What is odd about a picture that is prepared, where the bundle's own are known."""
        said = self.likeness.said_of(torch.as_tensor(prepared)) if self.likeness else ""
        return (Note("N_KIND", said),) if said else ()

    @contextmanager
    def _stage(self, stage: str, part: str, times_s: dict[str, float]) -> Iterator[None]:
        """Time a stage, and refuse as `_refusing`."""
        started = time.perf_counter()
        tell(Step(stage))
        with self._refusing(part):
            yield
        times_s[stage] = time.perf_counter() - started

    @contextmanager
    def _refusing(self, part: str) -> Iterator[None]:
        """What a bundle's part raises becomes a refusal that names the part."""
        try:
            with self.code.importable():  # a part may import more when it is called
                yield
        except FAILURES as error:  # whatever a config names may raise whatever it likes
            if refusal := refusal_behind(error):
                raise refusal from refusal.__cause__
            if of_the_system(error):
                raise
            raise InputError(
                "E_BUNDLE", self.spec.folder, f"its {part} failed: {last_line(error)}.",
                "Try the bundle on the image it was made for; if that fails too, report it.",
            ) from error  # fmt: skip


def _likeness(spec: Spec) -> Likeness | None:
    """What the pictures have in common that the bundle was trained on, where it tells."""
    path = spec.folder / "models" / LIKENESS
    return read_likeness(path) if path.is_file() else None


def _built(config: Config, part: str) -> Any:
    """A part, whatever the config calls it; None where it needs none.

    Raises:
        InputError: E_BUNDLE, it lacks one that there must be, or that cannot be built.
    """
    name = id_of(config.parser.get(), part)
    if name is None and part in ("inferer", "postprocessing"):
        return None
    return config.build(name or part)


def _chain(steps: Any) -> Compose:
    """A chain of the step, the steps or the chain that a config has."""
    return steps if isinstance(steps, Compose) else Compose(steps or [])


def _in_precision(inferer: Any, precision: str | None) -> Any:
    """The inferer in another precision than the bundle's own; None keeps that."""
    if precision is None:
        return inferer
    inner = inferer.inferer if is_of(inferer, PrecisionInferer) else inferer
    return PrecisionInferer(inner, precision)


def _batch(images: Sequence[Any]) -> torch.Tensor:
    """(B, C, *spatial) of images (C, *spatial); a single one is not copied, and keeps its place."""
    if len(images) == 1:
        return torch.as_tensor(images[0])[None]
    return torch.stack([x.as_tensor() if isinstance(x, MetaTensor) else x for x in images])
