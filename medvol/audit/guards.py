# SPDX-License-Identifier: Apache-2.0
"""Arguments by which an object on the list would write elsewhere, load code or reach the network.

Most objects on the list are harmless whatever they are given. Some are not: `SaveImaged` writes
where `output_dir` says, `LoadImaged` imports what `reader` names. Their arguments are followed.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from .entries import Entries, Unknown, parsed, stays_inside
from .names import Judged, judge_name, meant_by
from .verdict import Level

PLACES = {"output_dir", "save_dir", "log_dir", "cache_dir", "dirname"}  # folders it writes to
PARTS = {  # parts of the names of files that it writes
    "output_postfix", "output_ext", "output_format", "postfix", "extension", "filename",
    "file_prefix", "final_filename", "key_metric_filename", "key_metric_name",
}  # fmt: skip
CODE = {"reader", "writer"}  # classes, by object or by name
OFF = {  # what has to be off, and what it is when it is not
    "pretrained": (Level.B, "downloads weights when it is built"),
    "pretrained_url": (Level.B, "downloads weights when it is built"),
    "compile": (Level.B, "compiles machine code when it runs"),
    "download": (Level.C, "reaches the network"),
    "allow_pickle": (Level.C, "runs what a pickle names"),
    "data_root_dir": (Level.B, "can write outside its folder"),
    "_debug_": (Level.C, "stops in a debugger"),
    "output_name_formatter": (Level.B, "names files by a function of its own"),
}
KEYED = {  # objects by names of which files are called, so that the names have to be read
    "key_val_metric", "key_train_metric", "key_metric", "additional_metrics", "save_dict",
}  # fmt: skip
SUFFIXES = {  # of the files that whole names are given to: nothing that a program would run
    "filename": {".txt", ".log"},
    "final_filename": {".pt", ".pth", ".ckpt"},
    "key_metric_filename": {".pt", ".pth", ".ckpt"},
    "path": {".csv", ".json", ".pt"},
}
_BUILT = "writes where its caller says; name it by a text, as its class"
ANYWHERE = {  # what is called with a place to write to, whoever calls it, be it `print`
    "monai.transforms.io.array.SaveImage": "writes where its caller says; SaveImaged does not",
    "monai.data.image_writer.ImageWriter": _BUILT,
    "monai.data.image_writer.ITKWriter": _BUILT,
    "monai.data.image_writer.NibabelWriter": _BUILT,
    "monai.data.image_writer.PILWriter": _BUILT,
    "medvol.outputs.mask.MaskWriter": _BUILT,
}
OWN_PLACES = {  # arguments of medvol's own parts under which they write
    "medvol.training.checkpoint.BestWeights": "path",
    "medvol.training.checkpoint.Resume": "path",
    "medvol.data.prepared.Prepared": "folder",
    "medvol.training.curves.Curves": "folder",
    "medvol.training.precision.ChoosePrecision": "folder",
    "medvol.training.stages.Stages": "folder",
    "medvol.training.finder.RateFinder": "folder",
    "medvol.training.calibration.BiasOverlaps": "path",
    "medvol.training.calibration.ClassBias": "table",
    "medvol.training.calibration.PlattScaling": "table",
    "medvol.training.calibration.OperatingPoint": "table",
    "medvol.training.gate_choice.SliceOverlaps": "path",
    "medvol.training.gate_choice.SliceProbabilities": "path",
    "medvol.metrics.classes.training.SliceScores": "path",
    "medvol.metrics.masks.overlap.CaseTable": "path",
    "medvol.outputs.class_table.SaveClasses": "path",
}
ONLY = {  # the only arguments that are on the list
    "builtins.print": {"args", "sep", "end", "flush"},
    "torch.distributed.init_process_group": {"backend"},
    "torch.distributed.distributed_c10d.init_process_group": {"backend"},
    "torch.load": {"f", "map_location", "weights_only", "mmap"},
    "torch.serialization.load": {"f", "map_location", "weights_only", "mmap"},
    "numpy.load": {"file", "allow_pickle"},
}
OPENS = {"io.open", "_io.open", "builtins.open"}
ITS_READERS = "monai.data"  # where MONAI looks for a reader or writer without a dot


class Doubt(NamedTuple):
    """What an argument does that the object on the list would not do without it."""

    level: Level
    reason: str


def is_guarded(found: Judged) -> bool:
    """Whether the arguments of an object on the list matter."""
    taken = _signature(found.object)
    names = set(taken.parameters) if taken else set()
    listed = {**ONLY, **OWN_PLACES, **ANYWHERE}
    return bool(names & (PLACES | CODE | KEYED | set(OFF))) or found.name in listed


def writes(found: Judged) -> bool:
    """Whether what an object makes writes files, so that calling that needs an eye of its own."""
    taken = _signature(found.object)
    return bool(taken and set(taken.parameters) & PLACES) or found.name in OWN_PLACES


def doubts(found: Judged, given: Mapping[str, Any], known: Entries) -> Iterator[Doubt]:
    """What is doubtful in the arguments of an object on the list.

    Args:
        found: the object.
        given: argument to value: an entry as the config has it, or a part of a syntax tree.
        known: what stands in the bundle's configs.
    """
    only = ONLY.get(found.name)
    for name, value in given.items():
        if only is not None and name not in only:
            yield Doubt(Level.B, f"is on the list without {name} only")
        if name in PLACES or OWN_PLACES.get(found.name) == name:
            yield from _place(name, value, known)
        elif name in KEYED:
            yield from _keyed(name, value, known)
        elif name in PARTS and writes(found):
            yield from _part(name, value, known)
        elif name in CODE:
            yield from _code(name, value, known)
        elif name in OFF:
            yield from _off(name, value, known)
        elif name == "weights_only" and _can_be(value, known, {False}):
            yield Doubt(Level.C, "runs what a pickle names")
    yield from _left_out(found, given)
    if reason := ANYWHERE.get(found.name):
        yield Doubt(Level.B, reason)


def opens(given: Mapping[str, Any] | None, known: Entries) -> Iterator[Doubt]:
    """What is doubtful in a call of one of `OPENS`: any mode that is not a plain one of reading.

    Args:
        given: as for `doubts`; None where that cannot be told.
        known: what stands in the bundle's configs.
    """
    try:
        modes = known.plain((given or {}).get("mode", "r"))
        if given is not None and all(isinstance(m, str) and set(m) <= set("rbt") for m in modes):
            return
    except Unknown:
        pass
    yield Doubt(Level.C, "writes where it is told, unless its mode is one of reading")


def bound(found: Judged, call: ast.Call) -> dict[str, ast.expr] | None:
    """The arguments of a call by their names; None where that cannot be told."""
    taken = _signature(found.object)
    names = list(taken.parameters) if taken else []
    if any(isinstance(part, ast.Starred) for part in call.args) or len(call.args) > len(names):
        return None
    given = dict(zip(names, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg is None:
            return None
        given[keyword.arg] = keyword.value
    return given


def _left_out(found: Judged, given: Mapping[str, Any]) -> Iterator[Doubt]:
    """Arguments that are on where they are not given."""
    taken = _signature(found.object)
    for name, parameter in taken.parameters.items() if taken else ():
        on = parameter.default not in (inspect.Parameter.empty, None, False, "")
        if name in OFF and name not in given and on:
            level, reason = OFF[name]
            yield Doubt(level, f"{reason}, unless {name} is false")


def _place(name: str, value: Any, known: Entries) -> Iterator[Doubt]:
    try:
        paths = known.plain(value)
    except Unknown as why:
        yield Doubt(Level.B, f"writes to {name}, and where that is cannot be told: {why}")
        return
    for path in paths:
        if path is not None and not (isinstance(path, str) and stays_inside(path)):
            yield Doubt(Level.C, f"writes outside its folder: {name} is {path!r}")
        elif path:
            yield from _kind(name, str(path))


def _part(name: str, value: Any, known: Entries) -> Iterator[Doubt]:
    try:
        parts = known.plain(value)
    except Unknown as why:
        yield Doubt(Level.B, f"names files by {name}, which cannot be told: {why}")
        return
    for part in parts:
        if isinstance(part, str) and (set(part) & set("/\\\0") or ".." in part):
            yield Doubt(Level.C, f"writes outside its folder: {name} is {part!r}")
        elif isinstance(part, str) and part and name in SUFFIXES:
            yield from _kind(name, part)


def _kind(name: str, path: str) -> Iterator[Doubt]:
    """Files that other programs read or run by themselves, such as `.bashrc` or `conftest.py`."""
    parts = path.replace("\\", "/").split("/")
    if any(part.startswith(".") and part != "." for part in parts):
        yield Doubt(Level.B, f"writes what is hidden: {name} is {path!r}")
    suffixes = SUFFIXES.get(name)
    if suffixes and PurePosixPath(parts[-1]).suffix.lower() not in suffixes:
        kinds = ", ".join(sorted(suffixes))
        yield Doubt(Level.B, f"writes {path!r} by {name}, which is none of {kinds}")


def _keyed(name: str, value: Any, known: Entries) -> Iterator[Doubt]:
    """Objects by name: such an entry of a config, or a reference to some, where names are read."""
    entries = [value]
    if isinstance(value, str) and value[:1] in ("@", "%"):
        entries = known.of(value[1:])
    written = [one is None or (isinstance(one, dict) and "_target_" not in one) for one in entries]
    if not written or not all(written):
        yield Doubt(Level.B, f"names files by the keys of {name}, which cannot be told")


def _code(name: str, value: Any, known: Entries) -> Iterator[Doubt]:
    """Readers and writers: MONAI imports and calls whatever a text there names."""
    if isinstance(value, list | tuple):
        for part in value:
            yield from _code(name, part, known)
        return
    try:
        if isinstance(value, str) and value.startswith("$"):
            value = parsed(value)
        words = (
            (_written(value),) if isinstance(value, ast.Attribute | dict) else known.plain(value)
        )
    except Unknown as why:
        yield Doubt(Level.B, f"loads what {name} names, which cannot be told: {why}")
        return
    for word in words:
        if isinstance(word, str):
            yield from _named(name, word)


def _written(value: ast.Attribute | dict[str, Any]) -> str:
    """The name of a class that is written out: that of a component, or `monai.data.X`.

    Raises:
        Unknown: a member of something, which could be any text, or no component.
    """
    if isinstance(value, dict):
        if isinstance(target := value.get("_target_"), str) and target[:1] not in ("$", "@", "%"):
            return target
        raise Unknown("it is no class")
    if (word := ast.unparse(value)).startswith(f"{ITS_READERS}."):
        return word
    raise Unknown("it is a member of something")


def _named(name: str, word: str) -> Iterator[Doubt]:
    """A reader or writer by its name, as MONAI looks it up: in its own, then anywhere."""
    import monai.data

    if word.lower() in {"pilreader", "itkreader", "nibabelreader", "pydicomreader", "nrrdreader"}:
        return
    here = [f"{ITS_READERS}.{word}"] if hasattr(monai.data, word) else meant_by(word)
    for one in here:
        judged = judge_name(one)
        kinds = monai.data.ImageReader, monai.data.ImageWriter
        if judged.level != Level.A:
            yield Doubt(judged.level, f"loads {name} {word!r}, which {judged.reason}")
        elif not (inspect.isclass(judged.object) and issubclass(judged.object, kinds)):
            yield Doubt(Level.B, f"loads {name} {word!r}, which reads or writes no images")


def _off(name: str, value: Any, known: Entries) -> Iterator[Doubt]:
    level, reason = OFF[name]
    try:
        on = any(word not in (None, False, 0, "") for word in known.plain(value))
    except Unknown:
        yield Doubt(min(level, Level.B), f"{reason}, unless {name} is false, which cannot be told")
        return
    if on:
        yield Doubt(level, f"{reason}: {name} is on")


def _can_be(value: Any, known: Entries, words: set[Any]) -> bool:
    try:
        return any(word in words for word in known.plain(value))
    except Unknown:
        return True


@lru_cache(None)
def _signature(found: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(found)
    except (TypeError, ValueError):
        return None
