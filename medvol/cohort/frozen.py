# SPDX-License-Identifier: Apache-2.0
"""What is the same for all who work on a cohort: bundles, how they are run, the plan.

It is written when a cohort is first run, so that every worker, on whatever machine and started by
whatever, gives the same masks.
"""

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import __version__
from ..errors import InputError
from ..files import check_writable, locked, read_json, write_json
from .claims import CLAIMS, WORKERS
from .ledger import FOLDER as LEDGER
from .plan import COLUMNS, Unit, read_plan, write_plan

if TYPE_CHECKING:
    from ..bundle.spec import Spec
    from ..engine.serve import Handler
    from ..outputs.results import Results
    from ..tasks.task import Task

NAME, PLAN, LOGS = "cohort.json", "plan.csv", "logs"
FORMAT = 1
PACKAGES = ("monai", "torch", "numpy", "SimpleITK", "pydicom")
OPTIONS = {  # of the command line, that are called otherwise than what they ask for
    "bundles": "--bundle", "formats": "--format", "time_limit_s": "--time-limit",
    "choice": "--backend",
}  # fmt: skip
OTHER = "Give the same as before or nothing, or another output folder."


class Asked(NamedTuple):
    """What a user asks for; None, "auto" and nothing stand for what is usual.

    Args:
        bundles: names or folders.
        formats: of `outputs.registry.OUTPUTS`, that are written of each case.
        options: that may change an answer, by name, such as the precision.
        device: "auto", "cpu" or "cuda".
        engine: what `EngineSettings.asked` has.
        time_limit_s: seconds for a case.
    """

    bundles: Sequence[str] = ()
    formats: Sequence[str] | None = None
    options: Mapping[str, Any] = {}
    device: str = "auto"
    engine: Mapping[str, Any] = {}
    time_limit_s: float | None = None


class Fixed(NamedTuple):
    """What is fixed of a bundle.

    Args:
        given: name or absolute folder, by which it is found on every machine.
        version: of it.
        weights_sha256: of its weights.
        backend: that runs its network.
        formats: that are written of a case; None for all that an answer has.
    """

    given: str
    version: str
    weights_sha256: str
    backend: str
    formats: Sequence[str] | None


@dataclass(frozen=True)
class Frozen:
    """What all workers of a cohort have in common.

    Args:
        bundles: name to what is fixed of it.
        asked: as `Asked`, by name.
        device: "cpu" or "cuda".
        threads: that compute, of each worker.
        plan_sha256: of the plan in the folder.
        environment: versions and machine, where the cohort was first run.
        medvol: its version.
        made: when it was first run, ISO 8601, UTC.
        folder: absolute, whose images the plan has; "" where a plan was given.
        format: of this record.
    """

    bundles: Mapping[str, Fixed]
    asked: Mapping[str, Any]
    device: str
    threads: int
    plan_sha256: str
    environment: Mapping[str, Any]
    medvol: str = __version__
    made: str = ""
    folder: str = ""
    format: int = FORMAT

    @property
    def time_limit_s(self) -> float | None:
        """Seconds for a case; None for what is usual."""
        limit: float | None = self.asked["time_limit_s"]
        return limit

    def results(self, out: Path, bundle: str) -> "Results":
        """What is written of the cases of a bundle, and where.

        Args:
            out: folder of the cohort, or another one.
            bundle: name of it.

        Raises:
            InputError: E_OUTPUT, the bundle or medvol is not that of the first run; E_BUNDLE, there
                is no such bundle.
        """
        from ..bundle.spec import read_spec
        from ..engine.settings import EngineSettings
        from ..outputs.results import Results

        fixed = self.bundles[bundle]
        spec = read_spec(fixed.given)
        for what, now, then in (
            ("medvol", __version__, self.medvol), (bundle, spec.version, fixed.version),
            (f"the weights of {bundle}", spec.weights_sha256, fixed.weights_sha256),
        ):  # fmt: skip
            if now != then:
                raise InputError(
                    "E_OUTPUT", out, f"it was begun with {what} {then[:12]}, this is {now[:12]}.",
                    "Go on with what it was begun with, or choose another output folder.",
                )  # fmt: skip
        engine = {**self.asked["engine"], "backend": fixed.backend, "threads": self.threads}
        engine.pop("choice", None)
        return Results(out / bundle, spec, fixed.formats, self.asked["options"], self.device,
                       engine=EngineSettings(**engine))  # fmt: skip


def read(out: Path) -> Frozen:
    """What is fixed of the cohort in a folder.

    Args:
        out: folder of the cohort.

    Raises:
        InputError: E_PATH, there is none; E_FORMAT, it is damaged, or of a later medvol.
    """
    remedy = "Name the output folder of `medvol cohort run`."
    content = read_json(out / NAME, what="record of a cohort", remedy=remedy)
    try:
        bundles = {name: Fixed(**fixed) for name, fixed in content.pop("bundles").items()}
        found = Frozen(bundles=bundles, **content)
    except (TypeError, KeyError, AttributeError) as error:
        reason = f"this record of a cohort is damaged or of another medvol ({error})."
        raise InputError("E_FORMAT", out / NAME, reason, remedy) from error
    return found


def freeze(
    out: Path, units: Sequence[Unit], asked: Asked, *, threads: int, folder: str = ""
) -> Frozen:
    """Begin a cohort, or go on with one that was begun with the same plan and options.

    Args:
        out: its folder.
        units: the plan; with absolute paths. None goes on with that in the folder.
        asked: what the user asks for.
        threads: of each worker, where it begins.
        folder: whose images the plan has, where it begins.

    Raises:
        InputError: E_OUTPUT, the folder lies in an image's, or was begun with another plan or
            other options; E_BUNDLE, a bundle cannot be used, or not with these options;
            E_NOSPACE, it cannot be written.
        ValueError: no such device or option.
    """
    with locked(out / NAME):
        check_writable(out)  # within, since it takes a folder away again that it had to make
        if (out / NAME).exists():
            return _same(out, units, asked)
        _check_apart(out, units)
        begun = replace(_begun(units, asked, threads), folder=folder)
        for name in (LEDGER, CLAIMS, WORKERS, LOGS):
            (out / name).mkdir(exist_ok=True)
        write_plan(out / PLAN, units)
        bundles = {name: fixed._asdict() for name, fixed in begun.bundles.items()}
        write_json(out / NAME, {**asdict(begun), "bundles": bundles})
        return begun


def specs_of(bundles: Sequence[str]) -> "list[Spec]":
    """The specs of bundles that were given.

    Args:
        bundles: names or folders.

    Raises:
        InputError: E_BUNDLE, there is no such bundle.
    """
    from ..bundle.spec import read_spec

    return [read_spec(bundle) for bundle in bundles]


def specs(bundles: Sequence[str], units: Sequence[Unit]) -> "dict[str, Spec]":
    """Name to spec of all bundles of a plan.

    Args:
        bundles: names or folders that were given.
        units: of the plan; bundles that were not given are found by their names.

    Raises:
        InputError: E_BUNDLE, there is no such bundle.
    """
    given = {spec.name: spec for spec in specs_of(bundles)}
    names = dict.fromkeys(unit.bundle for unit in units)
    return {name: given.get(name) or specs_of([name])[0] for name in names}


def formats_of(asked: Sequence[str] | None, spec: "Spec", task: "Task") -> list[str] | None:
    """The files that are written of each case; None for all that an answer has.

    Args:
        asked: names of formats, or of groups of them; None for what is usual.
        spec, task: of the bundle.

    Raises:
        InputError: E_BUNDLE, answers have nothing of which one could be made.
    """
    from ..outputs.registry import OUTPUTS, THUMBNAIL, expanded

    if asked is None and task.formats is None:
        return None
    possible = [x.name for x in OUTPUTS.values() if not x.together and not x.lacks(task.gives)]
    wanted = expanded(asked or [*task.report, "json"], possible)
    if lacking := [name for name in wanted if name not in possible]:
        reason = f"its answers have nothing of which {lacking[0]} could be made."
        raise InputError("E_BUNDLE", spec.folder, reason, f"Give some of {', '.join(possible)}.")
    return list(dict.fromkeys([*wanted, THUMBNAIL]))  # for pages of many cases


def plan_sha256(units: Sequence[Unit]) -> str:
    """SHA-256 of all that a plan says.

    Args:
        units: of it.
    """
    digest = sha256()
    for unit in units:
        digest.update(json.dumps(astuple(unit)).encode())
    return digest.hexdigest()


def start(_: None) -> "Handler":
    """What answers, in a process of its own, which device and backend a bundle has here."""
    return _looked_at


def _looked_at(requests: Sequence[tuple[str, Asked]]) -> Iterator[dict[str, Any]]:
    from ..bundle.spec import read_spec
    from ..engine.backends.choose import remembered_backend
    from ..engine.backends.facts import machine_facts
    from ..engine.devices import choose_device
    from ..engine.settings import EngineSettings

    for folder, asked in requests:
        device = str(choose_device(asked.device))
        precision = asked.options.get("precision")
        engine = EngineSettings(**asked.engine)
        backend = remembered_backend(
            read_spec(folder), engine, device=asked.device, precision=precision
        )
        yield {"device": device, "backend": backend, "machine": machine_facts()}


def _begun(units: Sequence[Unit], asked: Asked, threads: int) -> Frozen:
    from ..bundle.spec import read_spec
    from ..engine import child
    from ..tasks.task import task_of

    asked = asked._replace(engine={"threads": threads, **asked.engine})
    found = specs(asked.bundles, units)
    for spec in found.values():
        _check_options(spec, asked.options)
    with child.Child(f"{__name__}:{start.__name__}") as process:
        requests = [(str(spec.folder), asked) for spec in found.values()]
        facts = list(process.each(requests, name=lambda request: request[0]))
    if refused := next((fact for fact in facts if isinstance(fact, InputError)), None):
        raise refused
    by_folder = {read_spec(given).name for given in asked.bundles}.difference(asked.bundles)
    bundles = {
        name: Fixed(
            str(spec.folder) if name in by_folder else name, spec.version, spec.weights_sha256,
            fact["backend"], formats_of(asked.formats, spec, task_of(spec)),
        )
        for (name, spec), fact in zip(found.items(), facts, strict=True)
    }  # fmt: skip
    return Frozen(
        bundles, asked._asdict(), facts[0]["device"], asked.engine["threads"],
        plan_sha256(units), _environment(facts[0]["machine"]),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )  # fmt: skip


def _check_options(spec: "Spec", options: Mapping[str, Any]) -> None:
    """Refuse an option that means nothing for a bundle, before it is fixed."""
    from ..bundle.foreign import GATE, inference_config
    from ..tasks.task import check_options, task_of

    check_options(task_of(spec), options)
    if options.get("gate") is not None and GATE not in inference_config(spec.folder).read_text():
        raise InputError("E_BUNDLE", spec.folder, "it has no gate.", "Leave out --gate.")


def _environment(machine: Mapping[str, Any]) -> dict[str, Any]:
    versions = {**{name: version(name) for name in PACKAGES}, **machine["versions"]}
    system = f"{platform.system()} {platform.machine()}"
    return {"python": platform.python_version(), "system": system, **machine, "versions": versions}


def _same(out: Path, units: Sequence[Unit], asked: Asked) -> Frozen:
    """What is fixed already, where nothing else is asked for."""
    found = read(out)
    then = _words(found.asked)
    for word, now in _words(json.loads(json.dumps(asked._asdict()))).items():
        if now != then.get(word):
            was = f"with {word} {_shown(then[word])}" if word in then else f"without {word}"
            raise InputError("E_OUTPUT", out, f"it was begun {was.rstrip()}.", OTHER)
    if units and plan_sha256(units) != found.plan_sha256:
        other = _difference(read_plan(out / PLAN), units)
        raise InputError("E_OUTPUT", out, f"it was begun with another plan: {other}.", OTHER)
    return found


def _words(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What differs from the usual, by the option of the command line that asks for it."""
    flat = {**asked, **asked["options"], **asked["engine"], "options": None, "engine": None}
    return {
        OPTIONS.get(name, f"--{name.replace('_', '-')}"): value
        for name, value in flat.items()
        if (value or isinstance(value, float)) and value != "auto"  # 0 is a threshold
    }  # fmt: skip


def _shown(value: object) -> str:
    """What was asked for, as words of the command line."""
    if isinstance(value, list | dict):
        return " ".join(map(str, value))
    return "" if value is True else str(value)


def _difference(then: Sequence[Unit], now: Sequence[Unit]) -> str:
    """The first line of two plans that is not the same."""
    for line, (before, after) in enumerate(zip(then, now, strict=False), 2):
        for column, x, y in zip(COLUMNS, astuple(before), astuple(after), strict=True):
            if x != y:
                return f"line {line} of its {PLAN} has {column} {x!r}, this one {y!r}"
    if len(then) == len(now):
        return f"its {PLAN} was changed"
    return f"it had {len(then):,} lines, this one has {len(now):,}"


def _check_apart(out: Path, units: Sequence[Unit]) -> None:
    """Refuse to write where an image lies."""
    places = [os.path.realpath(out), *map(str, Path(os.path.realpath(out)).parents)]
    if found := next((unit for unit in units if unit.path in {*places}), None):
        raise InputError(
            "E_OUTPUT", out, f"this output folder is or lies in the input {found.path}.",
            "Choose an output folder that is not part of the input.",
        )  # fmt: skip
