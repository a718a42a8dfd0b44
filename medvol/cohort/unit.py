# SPDX-License-Identifier: Apache-2.0
"""One unit of a cohort: its image as a case, what came of it as a state, and its log."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..dicomweb import open_archive
from ..dicomweb.address import is_address, parse_address
from ..dicomweb.at_hand import AtHand
from ..errors import InputError, printable
from ..files import write_text
from ..owned import FILES, RUN, read_record
from .frozen import LOGS
from .ledger import DONE, FAILED, QUARANTINED, REFUSED
from .plan import Unit
from .waiting import Away

if TYPE_CHECKING:
    from ..engine.process import Loss
    from ..tasks.cases import Case
    from ..tasks.predicting import Outcome

MOST_TRIES = 2
MOST_DEATHS = 5  # of workers that had a unit
MAY_PASS = ("E_FAILED", "E_TOO_BIG", "E_CHANGED", "E_ARCHIVE")  # another time it may go well
NOT_KNOWN = "E_FAILED"  # the one of these that says of no remedy that would help
MIB = 1 << 20
_LOG_LIKE = re.compile(r"(?<=\.txt)(?=_*/)", re.IGNORECASE)  # where names of folders end so
LOADING = ("start", "import", "load")  # stages that are not of a case


class End(NamedTuple):
    """What came of one try.

    Args:
        state: of `ledger.STATES`.
        said: fields of `State`.
        log: what is written of it into the log, lines without their ends.
    """

    state: str
    said: dict[str, Any]
    log: tuple[str, ...] = ()


def case_of(unit: Unit, hand: AtHand, *, alone: bool) -> "Case":
    """The image of a unit as a case; one of an archive is fetched.

    Args:
        unit: of the plan.
        hand: where it is fetched to.
        alone: the bundle takes radiographs, each file of which is an image.

    Raises:
        InputError: it cannot be fetched; E_SERIES, it is several radiographs.
        Away: the archive cannot be asked at present, or not by this machine.
    """
    from ..tasks.cases import Case

    series = unit.series or None
    if not is_address(unit.path):
        return Case(unit.path, unit.case, series=series)
    address = parse_address(unit.path)
    try:
        archive = open_archive(address)
    except InputError as refusal:  # for which this machine has no credentials
        raise Away(*refusal.args) from refusal
    archive.session.where = str(address)
    try:
        path, found = hand.get(archive, address, wanted=series)
    except InputError as error:
        if error.code == "E_ARCHIVE":
            try:
                archive.check()
            except InputError as refusal:  # not this study, but the archive
                raise Away(*refusal.args) from error
        raise hand.refusal(error) from error
    if not alone:
        return Case(path, unit.case, series=series)
    if len(found.files) > 1:
        reason = f"it holds {len(found.files)} radiographs, each of which is a case."
        raise InputError("E_SERIES", unit.path, reason, "Name series of one image in the plan.")
    return Case(found.files[0], unit.case)


def end_of(
    found: "Outcome | InputError", folder: Path, *, seconds: float, tries: int,
    loss: "Loss | None" = None, stage: str = "",
) -> End:  # fmt: skip
    """What a unit's state is after a try.

    What may pass is tried again; then it is refused where its code says what to do, such as for a
    study that an archive does not give, and quarantined where nobody knows that yet.

    Args:
        found: what came of it.
        folder: of its results.
        seconds: that it took, in s.
        tries: that failed before.
        loss: how the process was lost with it.
        stage: that it was at then.

    Raises:
        InputError: E_NOSPACE, it is said to be complete, and its files are not there.
    """
    if not isinstance(found, InputError):
        record = read_record(folder / RUN)
        if not record:
            raise not_there(folder)
        loading = sum(found.found.get("times_s", {}).get(stage, 0.0) for stage in LOADING)
        peak = record.get("peak_memory_bytes") or 0
        said = {"outputs": outputs_sha256(record), "peak_bytes": int(peak),
                "seconds": round(max(0.0, seconds - loading), 3)}  # fmt: skip
        return End(DONE, said if found.is_new else {**said, "new": False})
    said = {"code": found.code, "reason": found.reason, "remedy": found.remedy}
    lines = [f"{found.code} {found.reason} {found.remedy}"]
    if loss is None and found.code not in MAY_PASS:
        return End(REFUSED, said, tuple(lines))
    said |= {"tries": tries + 1, "seconds": round(seconds, 3)}
    if loss is not None:
        said |= {"signal": loss.signal, "peak_bytes": loss.peak_bytes, "stage": stage}
        lines += [
            f"signal: {loss.signal or 'none'}",
            f"peak memory: {loss.peak_bytes / MIB:.0f} MiB",
            f"last stage: {stage or 'not known'}",
            *(f"  {line}" for line in loss.said),
        ]
    given_up = REFUSED if loss is None and found.code != NOT_KNOWN else QUARANTINED
    return End(FAILED if tries + 1 < MOST_TRIES else given_up, said, tuple(lines))


def outputs_sha256(record: dict[str, Any]) -> str:
    """SHA-256 over names and checksums of all files of a case.

    Args:
        record: its `run.json`.

    Example:
        >>> outputs_sha256({"files": {"b": "2", "a": "1"}})[:12]
        '2951835de336'
    """
    lines = (f"{name} {digest}\n" for name, digest in sorted(record[FILES].items()))
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def not_there(folder: Path) -> InputError:
    """E_NOSPACE for results that are said to be complete.

    Args:
        folder: that should hold them.
    """
    reason = "the results that were written are not there."
    return InputError("E_NOSPACE", folder, reason, "See that the output folder stays.")


def log_of(out: Path, key: str) -> Path:
    """Where it is written why a unit is not done.

    No folder in it ends like a log, or that of case "a" would lie where case "a.txt/b" needs one.

    Args:
        out: folder of the cohort.
        key: of the unit.

    Example:
        >>> [log_of(Path("out"), key).as_posix() for key in ("bundle/a", "bundle/a.txt/b")]
        ['out/logs/bundle/a.txt', 'out/logs/bundle/a.txt_/b.txt']
    """
    return out / LOGS / f"{_LOG_LIKE.sub('_', key)}.txt"


def write_log(
    out: Path, unit: Unit, state: str, said: Mapping[str, Any], log: Sequence[str]
) -> None:
    """Add to a unit's log what came of a try; once, also where this is said again.

    Args:
        out: folder of the cohort.
        unit: which.
        state, said, log: see `End`.

    Raises:
        InputError: E_NOSPACE, it cannot be written.
    """
    path = log_of(out, unit.key)
    before = ""
    with suppress(OSError):
        before = path.read_text(encoding="utf-8")
    head = f"{unit.key}: {state}, try {said.get('tries', 1)}, {said['host']} {said['pid']}"
    lines = [head, f"image: {unit.path}", *log]
    text = "\n".join(map(printable, lines)) + "\n"
    if not before.endswith(text):
        write_text(path, f"{before}\n{text}" if before else text)
