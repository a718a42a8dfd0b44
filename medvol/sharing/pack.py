# SPDX-License-Identifier: Apache-2.0
"""A bundle as one file for another lab, which runs there with MONAI alone."""

import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bundle.permission import permit
from ..errors import InputError
from ..files import ZIP_EPOCH, replacing, write_json
from ..manifest import MANIFEST, NAME, Manifest, manifest_of
from ..scratch import prefix
from .check import check_apart
from .golden import GOLDEN, make_golden_apart
from .materials import BILL, bill_of_materials
from .prepare import prepared
from .shelf import read_packed

MODE = 0o100644  # of every file: read by all, written by the owner
UNIX = 3  # the system whose permissions `MODE` are, as the format counts


@dataclass(frozen=True)
class Packed:
    """What was packed.

    Args:
        path: of the file.
        size: bytes.
        manifest: name, version and files of the bundle in it.
        carried: files of medvol in it; 0 where its configs name none.
        left_out: files of the bundle that are not in it.
        golden: a golden case is in it.
    """

    path: Path
    size: int
    manifest: Manifest
    carried: int
    left_out: tuple[str, ...]
    golden: bool

    def to_json(self) -> dict[str, Any]:
        """All of it, by name."""
        return {
            "path": str(self.path), "bytes": self.size, "name": self.manifest.name,
            "version": self.manifest.version, "digest": self.manifest.digest,
            "files": len(self.manifest.files), "files_of_medvol": self.carried,
            "left_out": list(self.left_out), "golden_case": self.golden,
        }  # fmt: skip


def pack(bundle: Path, output: Path, *, seconds: float | None = None) -> Packed:
    """Write a bundle as one `.zip`; the same bundle gives the same bytes.

    Args:
        bundle: its root; a bundle that came packed can be packed again.
        output: of the file.
        seconds: s that the check of the bundle may take, and code of its own on the golden case;
            None for what is usual.

    Raises:
        InputError: E_BUNDLE, `check` finds something wrong, its name is not one of a bundle, or a
            config names medvol in a way that cannot be carried; E_UNTRUSTED, level C, or B without
            acceptance; E_NOSPACE, the file cannot be written; as for `read_packed`, nobody could
            receive it.
    """
    name = bundle.resolve().name
    if not NAME.fullmatch(name):
        raise InputError(
            "E_BUNDLE", bundle, f"{name!r} cannot be the name of a packed bundle.",
            "Use letters, digits, dots, - and _, 100 at most.",
        )  # fmt: skip
    permit(bundle)
    _check(bundle, seconds)
    with tempfile.TemporaryDirectory(prefix=prefix()) as scratch:
        folder = Path(scratch) / name
        made = prepared(bundle, folder)
        golden = make_golden_apart(bundle, folder / GOLDEN, seconds=seconds)
        write_json(folder / BILL, bill_of_materials(folder))
        manifest = manifest_of(folder, name=name)
        (folder / MANIFEST).write_bytes(manifest.canonical)
        with replacing(output) as temporary:
            write_zip(folder, temporary)
            _check_receivable(temporary, bundle)
        size = output.stat().st_size
        return Packed(output, size, manifest, made.carried, made.left_out, golden)


def write_zip(folder: Path, path: Path) -> None:
    """Write a folder as a .zip that unpacks to it; the same content gives the same bytes.

    Args:
        folder: whose name is that of the only folder at the top.
        path: of the .zip.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(f for f in folder.rglob("*") if f.is_file()):
            row = zipfile.ZipInfo(file.relative_to(folder.parent).as_posix(), ZIP_EPOCH)
            row.create_system, row.external_attr = UNIX, MODE << 16
            row.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(row, file.read_bytes())


def _check_receivable(packed: Path, bundle: Path) -> None:
    """Refuse what another lab could not receive, such as a file that Windows cannot name."""
    try:
        read_packed(packed)
    except InputError as error:
        raise InputError(
            error.code, bundle, f"no lab could receive it: {error.reason}",
            "Change that in the bundle, and pack it again.",
        ) from error  # fmt: skip


def _check(bundle: Path, seconds: float | None) -> None:
    """Refuse what `check` finds wrong."""
    errors = [x for x in check_apart(bundle, seconds=seconds) if x.level == "error"]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        first = errors[0]
        reason = f"{first.key}: {first.reason}" if first.key else first.reason
        raise InputError(
            "E_BUNDLE", bundle / first.file, f"it is not fit to be given away: {reason}{more}",
            f"{first.remedy} `medvol bundle check` shows all.",
        )  # fmt: skip
