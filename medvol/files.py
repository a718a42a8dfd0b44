# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all; tables, JSON and checksums."""

import csv
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import InputError
from .failures import write_error
from .scratch import SCRATCH, prefix, remove, sweep_left

HASH_CHUNK_BYTES = 1 << 20
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every file in a .zip: the same content has the same bytes
# a text that begins so is a formula for a spreadsheet (the last four: in East Asian ones)
FORMULA = ("=", "+", "-", "@", "\t", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@contextmanager
def made(folder: Path) -> Iterator[None]:
    """Make a folder; where the block raises, what was made of it and is empty goes again.

    Raises:
        OSError: it cannot be made.
    """
    new = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for place in new:
            with suppress(OSError):
                place.rmdir()
        raise


def check_writable(folder: Path) -> None:
    """Refuse a folder that files cannot be written into, before work starts; nothing stays of it.

    What killed processes left directly in it goes.

    Raises:
        InputError: E_OUTPUT, it is a file, or would lie in one; E_NOSPACE, it cannot be made, or
            nothing can be written there.
    """
    around = (place for place in (folder, *folder.parents) if os.path.lexists(place))
    if (there := next(around, None)) is not None and there.exists() and not there.is_dir():
        what = "the results need a folder of this name" if there == folder else "no folder lies in"
        raise InputError(
            "E_OUTPUT", there, f"it is a file; {what}.", "Choose another output folder."
        )
    sweep_left(folder)
    try:
        with suppress(KeyError), made(folder), tempfile.TemporaryFile(prefix=prefix(), dir=folder):
            raise KeyError  # so that a folder that was made goes again
    except OSError as error:
        raise write_error(folder, error) from error


def sweep(folder: Path, process: int, top: Path) -> None:
    """Take away what a process that was killed left unfinished, and folders that are empty then.

    Args:
        folder: that it wrote into.
        process: its number.
        top: the outermost folder that may be taken away.
    """
    left = [*folder.glob(f"{SCRATCH}{process}-*")]
    for path in left:
        remove(path)
    for place in (folder, *folder.parents) if left else ():
        if place.is_relative_to(top):
            with suppress(OSError):  # something else is in it
                place.rmdir()


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well it takes `path`'s place.

    The temporary name keeps the suffixes of `path`, since many writers choose the format by them.
    When the block raises, the temporary file is removed and an older file at `path` stays.

    Raises:
        InputError: E_NOSPACE, the disk is full or the folder cannot be written.
    """
    final = Path(path)
    suffix = "".join(final.suffixes[-2:])
    try:
        with made(final.parent):
            # not tempfile.mkstemp: a confined process may not give a file other rights later
            temporary = final.parent / f"{prefix()}{secrets.token_hex(4)}{suffix}"
            temporary.touch(exist_ok=False)
            try:
                yield temporary
                os.replace(temporary, final)
            finally:
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise write_failure(error, final) from error


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside `folder`; when the block ends well it takes that name.

    When the block raises, nothing stays of it.

    Args:
        folder: where nothing lies yet.

    Raises:
        InputError: E_PATH, something lies there; E_NOSPACE, the disk is full or the folder around
            it cannot be written.
    """
    try:
        with made(folder.parent):
            scratch = Path(tempfile.mkdtemp(prefix=prefix(), dir=folder.parent))
            try:
                yield scratch
                if os.path.lexists(folder):
                    reason = "it is there already."
                    raise InputError("E_PATH", folder, reason, "Choose another name.")
                scratch.chmod(0o777 & ~_umask())
                os.rename(scratch, folder)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise write_failure(error, folder) from error


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text in UTF-8, whole or not at all; what UTF-8 cannot hold becomes `\\udc..`.

    Raises:
        InputError: E_NOSPACE, the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file for this process alone: others that ask wait, as long as they ask in this way.

    Args:
        path: of a file which is read, changed and written in the block; a lock lies beside it, and
            its folder is made.

    Raises:
        InputError: E_NOSPACE, the lock cannot be written.
    """
    from filelock import FileLock  # here: most commands lock nothing

    lock = FileLock(f"{path}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise write_error(path, error) from error
    try:
        yield
    finally:
        lock.release()


def cell_text(text: str) -> str:
    """A text as a cell that no spreadsheet runs as a formula: behind an apostrophe where it might.

    A number stays one, also a negative one. A carriage return, at which some programs end a row,
    is written as \\r. See https://owasp.org/www-community/attacks/CSV_Injection

    Example:
        >>> [cell_text(x) for x in ("=1+1", "-600.5", "-a", "chest", "'=1")]
        ["'=1+1", '-600.5', "'-a", 'chest', "''=1"]
    """
    text = text.replace("\r", "\\r")
    if not text.lstrip("'").startswith(FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def text_of_cell(cell: str) -> str:
    """The text that `cell_text` made a cell of.

    Example:
        >>> [text_of_cell(x) for x in ("'=1+1", "-600.5", "'-a", "'quoted'")]
        ['=1+1', '-600.5', '-a', "'quoted'"]
    """
    guarded = cell.startswith("'") and cell.lstrip("'").startswith(FORMULA)
    return cell[1:] if guarded else cell


def write_csv(
    path: str | os.PathLike[str],
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    errors: str = "backslashreplace",
) -> None:
    """Write a table in UTF-8, whole or not at all: a line of names, a line a row, None empty.

    Texts are written as `cell_text` has them, so that a spreadsheet can open the table.

    Args:
        path: of the file.
        columns: their names.
        rows: one value a column; a float that should have fixed decimals comes as text.
        errors: what becomes of names that UTF-8 cannot hold, as for `open`; "surrogateescape"
            writes a file's name as it lies on the disk.

    Raises:
        ValueError: a row has more or fewer values than there are columns.
        InputError: E_NOSPACE, the file cannot be written.
    """
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors=errors, newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            if len(row) != len(columns):
                raise ValueError(f"a row of {len(row)} values for {len(columns)} columns: {row}")
            writer.writerow([cell_text(x) if isinstance(x, str) else x for x in row])


def read_csv(path: str | os.PathLike[str]) -> list[dict[str, str]]:
    """Rows of a table in UTF-8 such as `write_csv` writes, column to text."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    return [{name: text_of_cell(x) if isinstance(x, str) else x for name, x in row.items()}
            for row in rows]  # fmt: skip


def write_json(path: str | os.PathLike[str], content: Any, *, indent: int | None = 2) -> None:
    """Write JSON in UTF-8, whole or not at all, in the order given, with a line end at the end.

    Args:
        path: of the file.
        content: of what JSON knows; anything else is written as its text.
        indent: spaces a level; None for one line.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not know.
        InputError: E_NOSPACE, the file cannot be written.
    """
    text = json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False, default=str)
    write_text(path, text + "\n")


def write_entries(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write a JSON object with a line an entry, whatever is in it; else as `write_json`.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not know.
        InputError: E_NOSPACE, the file cannot be written.
    """

    def text(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    lines = [f"  {text(key)}: {text(value)}" for key, value in content.items()]
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def read_json(path: str | os.PathLike[str], *, what: str, remedy: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: of the file.
        what: what it should be, for the refusal, such as "search space".
        remedy: what the user can do, one sentence.

    Raises:
        InputError: E_PATH, it cannot be opened; E_FORMAT, it is not a JSON object.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(
            "E_PATH", path, f"the {what} cannot be opened ({error.strerror}).", remedy
        ) from error
    except ValueError as error:
        raise InputError("E_FORMAT", path, f"this {what} is not JSON ({error}).", remedy) from error
    except RecursionError as error:
        reason = f"this {what} is nested too deeply."
        raise InputError("E_FORMAT", path, reason, remedy) from error
    if not isinstance(content, dict):
        raise InputError("E_FORMAT", path, f"this {what} is not a JSON object.", remedy)
    return content


def sha256_of(path: str | os.PathLike[str], parts: Sequence[Path] = ()) -> str:
    """SHA-256 of a file; of several, of their names and checksums in the order of names.

    Args:
        path: file, or folder with all the files in it.
        parts: the files to take where what lies at `path` is several beside each other, such as
            header and data of an Analyze image.

    Raises:
        OSError: a file cannot be read.

    Returns:
        64 hexadecimal digits.
    """
    path = Path(path)
    if path.is_dir() or parts:
        folder = path if path.is_dir() else path.parent
        files = sorted(parts or (f for f in path.rglob("*") if f.is_file()))
        lines = [f"{f.relative_to(folder).as_posix()} {sha256_of(f)}\n" for f in files]
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def write_failure(error: OSError, path: Path) -> Exception:
    """What to raise for a failed write; an error of a file elsewhere is not one of writing.

    Args:
        error: what the system said.
        path: of the file or folder that was to be written.
    """
    path = path.absolute()
    named = Path(os.fsdecode(error.filename)).absolute() if error.filename else path
    here = named.is_relative_to(path.parent) or path.is_relative_to(named)
    return write_error(path, error) if here else error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
