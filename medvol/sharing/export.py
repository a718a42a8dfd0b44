# SPDX-License-Identifier: Apache-2.0
"""A bundle's networks with their weights in another format, each shown to give the same scores."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..engine import child
from ..engine.confined import confinement_for
from ..engine.limits import usual_limits
from ..errors import InputError
from ..files import replacing
from ..scratch import prefix
from .convert import Request
from .formats import FORMATS, check_packages
from .personal import personal_in

WORK = "medvol.sharing.convert:converter"
BESIDE = (".json", ".bin")  # suffixes of what lies beside the file of a network


@dataclass(frozen=True)
class Exported:
    """Files that were written.

    Args:
        files: of networks and of what belongs to them.
        record: the JSON beside them.
        difference: largest of scores, as a share of the largest score or of 1.
        tolerance: that it had to keep, as the same share.
    """

    files: tuple[Path, ...]
    record: Path
    difference: float
    tolerance: float

    def to_json(self) -> dict[str, Any]:
        """All of it, by name."""
        return {
            "files": [str(path) for path in self.files], "record": str(self.record),
            "largest_difference": self.difference, "tolerance": self.tolerance,
        }  # fmt: skip


def export(bundle: Path, output: Path, *, to: str, seconds: float | None = None) -> Exported:
    """Write a bundle's network, and its gate where it has one, in another format.

    Each file is compared with the network that it was made from, on what that is given of a
    phantom, on two of it at once, and in another size. What comes before and behind the network is
    not in the files; the JSON beside them says what it is. All this happens in a process of its
    own, which is confined for a bundle that carries code. Files that would name people or personal
    folders of this machine are not written.

    Args:
        bundle: its root.
        output: of the network's file, with the suffix of the format, or a folder, which gets files
            with the name of the bundle.
        to: "torchscript", "onnx" or "openvino".
        seconds: s that it may take; None for what is usual.

    Raises:
        ValueError: another format.
        InputError: E_OUTPUT, a file is there already; E_BUNDLE, the bundle cannot be built, or the
            scores differ by more than the tolerance; E_UNTRUSTED, as for `bundle.permission`.
        ImportError: a package for the format is not installed.
    """
    if to not in FORMATS:
        raise ValueError(f"to is {to!r}; give {', '.join(FORMATS)}")
    check_packages(to)
    suffix = FORMATS[to].suffix
    named = output.suffix == suffix
    stem, folder = (output.stem, output.parent) if named else (bundle.resolve().name, output)
    names = {f"{x}{end}" for x in (stem, f"{stem}_gate") for end in (suffix, *BESIDE)}
    for path in sorted(folder / name for name in names):
        if path.exists():
            reason = "it is there already."
            raise InputError("E_OUTPUT", path, reason, "Remove it, or name another output.")
    with tempfile.TemporaryDirectory(prefix=prefix()) as place:
        scratch = Path(place)
        request = Request(bundle.resolve(), scratch, to, stem)
        confinement = confinement_for(bundle, write=[scratch])
        limits = usual_limits(seconds, confined=confinement is not None)
        with child.Child(WORK, limits=limits, confinement=confinement) as process:
            difference: float = process.ask(request, name=lambda _: bundle)
        written = sorted(scratch.iterdir(), key=lambda x: (x.suffix == ".json", x.stem))
        if not all(x.name in names and x.is_file() and not x.is_symlink() for x in written):
            reason = "its own code wrote something else than the export."
            raise InputError("E_UNTRUSTED", bundle, reason, "Do not use this bundle.")
        _refuse_personal(scratch, bundle)
        for path in written:
            with replacing(folder / path.name) as temporary:
                shutil.copyfile(path, temporary)
    *files, record = (folder / path.name for path in written)
    return Exported(tuple(files), record, difference, FORMATS[to].tolerance)


def _refuse_personal(folder: Path, bundle: Path) -> None:
    """Refuse files that hold what nobody should give away: such as paths of this machine."""
    found = next((one for one in personal_in(folder) if one.level == "error"), None)
    if found is not None:
        raise InputError(
            "E_BUNDLE", bundle, f"{found.file} would not be fit to be given away: {found.reason}",
            "Take it out of the bundle: `medvol bundle check` says where it stands.",
        )  # fmt: skip
