# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around a cohort for a while: a full disk, a shut ledger, a folder away."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BLOCK = 1 << 16


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk of its own in a folder, of so many MB; needs the rights to mount.

    Raises:
        OSError: this process may not mount.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = f"size={megabytes}m"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], check=False)
    if done.returncode:
        raise OSError("a small disk cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Leave no byte free on the disk of a folder."""
    ballast = folder / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            size = BLOCK
            while size:
                try:
                    file.write(b"x" * size)
                except OSError:
                    size //= 2
        yield
    finally:
        ballast.unlink()


@contextmanager
def shut(ledger: Path) -> Iterator[None]:
    """Let nothing be appended to the files of a ledger, nor read: their folder has another name."""
    aside = ledger.with_name("ledger.aside")
    os.rename(ledger, aside)
    try:
        yield
    finally:
        os.rename(aside, ledger)


@contextmanager
def away(out: Path) -> Iterator[list[str]]:
    """Take a folder away, as a share that is not there; what appeared meanwhile is in the list."""
    aside, made = out.with_name(f"{out.name}.away"), list[str]()
    os.rename(out, aside)
    try:
        yield made
    finally:
        if out.exists():
            made += [str(path.relative_to(out)) for path in out.rglob("*")] or ["."]
            shutil.rmtree(out)
        os.rename(aside, out)
