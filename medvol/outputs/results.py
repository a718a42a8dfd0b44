# SPDX-License-Identifier: Apache-2.0
"""The folder of a run of `medvol predict`: what may be written there, and what is done already."""

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .. import __version__
from ..bundle.foreign import inference_config
from ..bundle.spec import Spec
from ..engine.settings import AUTO, BACKENDS, USUAL, EngineSettings
from ..errors import InputError
from ..files import sha256_of
from ..images.unchanged import input_sha256
from ..owned import FILES, MANIFEST, RUN, check_owned, filling, read_record
from .case_record import Kept, read_kept
from .cases import PREDICTED, Cases
from .registry import INDEX, OUTPUTS, THUMBNAIL, Output

if TYPE_CHECKING:
    from ..answer import Answer

ELSEWHERE = "Choose an output folder that is not part of the input."
GAVE_WAY = (
    "It took the place of results of another image, or of this one before it changed; give images "
    "of one name together, or an output folder each."
)
# what every answer of a task has, of `registry.HAS`; attention where it is asked for
GIVEN_BY = {
    "volumes": ("", "mask", "picture"),
    "slices": ("", "slices"),
    "radiographs": ("", "classes", "attention", "picture"),
}  # fmt: skip
Place = tuple[int, int]


@dataclass(frozen=True)
class Results:
    """What a run writes into a folder for each case, and what of it is there already.

    Args:
        folder: of the run; a case has a folder of its own in it.
        spec: of the bundle.
        formats: names of `OUTPUTS`; None for all that an answer has.
        asked: options by name, as far as they may change an answer.
        device: that is asked for.
        overwrite: complete cases are computed again.
        several: there is more than one case, so that files for all together are made unasked.
        engine: how the network is run.
        backend: that runs it; empty where the bundle is not loaded, then what would be taken now.
    """

    folder: Path
    spec: Spec
    formats: Sequence[str] | None
    asked: Mapping[str, Any]
    device: str = "auto"
    overwrite: bool = False
    several: bool = False
    engine: EngineSettings = USUAL
    backend: str = ""

    @property
    def alone(self) -> list[str] | None:
        """Formats of files for each case; None for all that an answer has.

        Where cases have files of their own, the page of all cases finds their small pictures there.
        """
        if self.formats is None:
            return None
        names = [name for name in self.formats if not OUTPUTS[name].together]
        shown = [THUMBNAIL] if names and INDEX in self.formats else []
        return list(dict.fromkeys([*names, *shown]))

    @property
    def together(self) -> list[Output]:
        """Files for all cases together."""
        formats = self.formats
        if formats is None:
            return [x for x in OUTPUTS.values() if x.together and x.unasked and self.several]
        return [OUTPUTS[name] for name in formats if OUTPUTS[name].together]

    def possible(self, gives: Collection[str]) -> list[str]:
        """Formats of files for each case that an answer of a task may have.

        Args:
            gives: what the answers of the task can have, of `registry.HAS`.
        """
        asked = [x for x in OUTPUTS.values() if x.unasked and not x.together]
        names = [x.name for x in asked] if self.alone is None else self.alone
        return [name for name in names if not OUTPUTS[name].lacks(gives)]

    def save_together(self, cases: "Cases") -> dict[str, Path]:
        """Write the files for all cases together; none where no case was predicted.

        Args:
            cases: all of the run, also those that were refused or not reached.

        Raises:
            InputError: E_OUTPUT, a file of that name is there which is not medvol's own; E_NOSPACE,
                the folder cannot be written.

        Returns:
            Format to path of what was written.
        """
        if not self.together or not cases.number(PREDICTED):
            return {}
        with filling(self.folder) as scratch:
            for output in self.together:
                output.write(scratch / output.file, cases)
        return {output.name: self.folder / output.file for output in self.together}

    @cached_property
    def request(self) -> str:
        """SHA-256 of all that decides about an answer, but its image: equal for equal answers."""
        from ..engine.backends.choose import remembered_backend  # here: it loads torch

        precision = self.asked["precision"]
        backend = self.backend or remembered_backend(
            self.spec, self.engine, device=self.device, precision=precision
        )  # fmt: skip
        return self._request_by(backend)

    @cached_property
    def _requests(self) -> list[str]:
        """Those of answers that will do: where no backend is asked for, by whichever they are."""
        engine = self.engine
        if engine.backend != AUTO or engine.stock or engine.choice is not None:
            return [self.request]
        return [self._request_by(backend) for backend in BACKENDS if backend != AUTO]

    def _request_by(self, backend: str) -> str:
        """SHA-256 as `request`, of an answer whose network a backend ran."""
        everything = {**self._everything, "backend": backend}
        text = json.dumps(everything, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def _everything(self) -> dict[str, Any]:
        """All that decides about an answer, but its image and what ran the network."""
        from ..engine.devices import choose_device  # here: it loads torch

        spec, configs = self.spec, self.spec.folder / "configs"
        inference = inference_config(spec.folder)
        files = {"inference": inference, "metadata": configs / "metadata.json"}
        return {
            "medvol": __version__,
            "bundle": [spec.name, spec.version, spec.weights_sha256, spec.gate_sha256],
            "configs": {name: sha256_of(path) for name, path in files.items() if path.is_file()},
            "asked": self.asked,
            "device": str(choose_device(self.device)),
            "stock": self.engine.stock,
            "crop": self.engine.crop,
            **({"mirror": True} if self.engine.mirror else {}),
        }

    def check_place(self, given: Sequence[Path], cases: Mapping[str, str]) -> None:
        """Refuse to write where the input lies; called before anything is computed.

        Args:
            given: files and folders that the user named.
            cases: name to path of the input of each case.

        Raises:
            InputError: E_OUTPUT, the folder is or lies in an input folder, or that of a case is,
                holds or lies in an input; or a table there is not medvol's own.
        """
        inputs = [*given, *map(Path, cases.values())]
        check_apart(self.folder, [] if self.alone == [] else cases, inputs)
        check_owned(self.folder, [output.file for output in self.together])

    def is_current(self, case: str, path: Path) -> bool:
        """Whether all that is asked for of a case is there, of this input, and as it was written.

        Args:
            case: its name.
            path: of its input.

        Raises:
            InputError: E_OUTPUT, something there is not medvol's own or was changed since; E_PATH,
                the input cannot be read.
            ValueError: no such device.
        """
        if self.alone == []:
            found = self.kept[case].found if case in self.kept else {}
            return not self.overwrite and self._is_of(found, path)
        folder = self.folder / case
        record = read_record(folder / RUN)
        files = record.get(FILES, {})
        check_owned(folder, [*files, *self._sure, RUN])
        if self.overwrite or not record or not self._holds_all(record):
            return False
        replaced = {*read_record(folder / MANIFEST).get(FILES, ())}.intersection(files)
        if replaced or not all((folder / name).exists() for name in files):
            return False
        return self._is_of(record, path)

    def _is_of(self, record: Mapping[str, Any], path: Path) -> bool:
        """Whether a record is of this request and of what lies at a path now."""
        if not record or record["request_sha256"] not in self._requests:
            return False
        pair = [path.with_name(name) for name in record["input"].get("pair", ())]
        return bool(record["input"]["sha256"] == input_sha256(path, pair))

    @cached_property
    def kept(self) -> dict[str, Kept]:
        """What an earlier run found in cases without files of their own, by name."""
        return read_kept(self.folder)

    @property
    def _sure(self) -> list[str]:
        """Files that a case will have for sure."""
        given = GIVEN_BY[self.spec.task]
        return [
            output.file
            for name, output in OUTPUTS.items()
            if output.needs in given and not output.together
            and (output.unasked if self.alone is None else name in self.alone)
        ]  # fmt: skip

    def _holds_all(self, record: Mapping[str, Any]) -> bool:
        """Whether a record lists the files of all formats that are asked for."""
        if self.formats is None:
            return record["formats"] is None
        tops = {RUN, *(name.partition("/")[0] for name in record[FILES])}
        return all(OUTPUTS[name].file in tops for name in self.alone or ())

    def save(self, answer: "Answer") -> list[str]:
        """Write the files of a case.

        Raises:
            InputError: as for `save.save`.

        Returns:
            What the answer lacks of what was asked for, and whether results of another image gave
            way, a sentence each.
        """
        from .save import save  # here: it loads torch

        formats = self.alone
        lacking = [n for n in formats or () if not OUTPUTS[n].fits(answer)]
        wanted = None if formats is None else [n for n in formats if n not in lacking]
        folder = self.folder / answer.case
        before = read_record(folder / RUN).get("input", {}).get("sha256")
        save(answer, folder, formats=wanted, request=self.request, asked=self.asked)
        said = [f"It has no {OUTPUTS[name].needs}, so there is no {name}." for name in lacking]
        return said if before in (None, answer.image.sha256) else [*said, GAVE_WAY]


def check_apart(folder: Path, cases: Iterable[str], inputs: Sequence[Path]) -> None:
    """Refuse to write where the input lies.

    Args:
        folder: that is written into.
        cases: names of the folders in it, one a case.
        inputs: files and folders that are read.

    Raises:
        InputError: E_OUTPUT, the folder is or lies in an input folder, or that of a case is, holds
            or lies in an input.
    """
    around = {place: path for path in inputs for place in _places(path)[1:]}
    within = {_places(path)[0]: path for path in inputs if os.path.isdir(path)}
    for own in [folder, *(folder / name for name in cases)]:
        places = _places(own)
        itself = places[0] if os.path.exists(own) else None
        if itself in within:
            _refuse(own, "is", within[itself])
        if found := next((place for place in places if place in within), None):
            _refuse(own, "lies in", within[found])
        if own != folder and itself in around:
            _refuse(own, "holds", around[itself])


def _refuse(folder: Path, how: str, path: Path) -> NoReturn:
    reason = f"this output folder {how} the input {path}."
    raise InputError("E_OUTPUT", folder, reason, ELSEWHERE)


def _places(path: Path) -> list[Place]:
    """What the system calls a path and the folders around it, those that exist, the inmost first.

    So links, and other spellings of a name where the system takes them for one, are seen through.
    """
    found: list[Place] = []
    with suppress(OSError, ValueError):  # of a path that cannot be
        path = Path(os.path.realpath(path))
    for place in (path, *path.parents):
        with suppress(OSError, ValueError):
            status = place.stat()
            found.append((status.st_dev, status.st_ino))
    return found
