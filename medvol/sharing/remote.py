# SPDX-License-Identifier: Apache-2.0
"""Stores of packed bundles: a shared folder, or the Hugging Face hub."""

import shlex
import shutil
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

from ..errors import InputError
from ..scratch import TEMPORARY, prefix
from .hub import START, from_hub, on_hub, put_on_hub
from .receive import Received, receive
from .shelf import Version, from_shelf, on_shelf, put_on_shelf, read_packed


def push(path: Path, place: str) -> Version:
    """Put a packed bundle into a store; a version that is there is never replaced by another.

    Args:
        path: of the `.zip`.
        place: a folder, or "hf:ORGANISATION/NAME".

    Raises:
        InputError, ValueError, ImportError: as for `shelf.put_on_shelf` and `hub.put_on_hub`.
    """
    return put_on_hub(path, place) if place.startswith(START) else put_on_shelf(path, Path(place))


def versions(name: str, place: str) -> list[Version]:
    """The versions of a bundle in a store, the oldest first.

    Args:
        name: of the bundle.
        place: a folder, or "hf:ORGANISATION/NAME".

    Raises:
        InputError, ValueError, ImportError: as for `shelf.on_shelf` and `hub.on_hub`.
    """
    return on_hub(name, place) if place.startswith(START) else on_shelf(name, Path(place))


def pull(
    named: str, place: str, *, accepted: str | None = None, signed_by: str | None = None
) -> Received:
    """Receive a bundle from a store, with all checks of `receive`. Nothing of it is executed.

    Args:
        named: NAME or NAME@VERSION; of a name alone the newest version.
        place: a folder, or "hf:ORGANISATION/NAME".
        accepted, signed_by: as for `receive`.

    Raises:
        InputError: E_UNTRUSTED, what lies there is another bundle than its name says; others as for
            `receive`, `shelf.from_shelf` and `hub.from_hub`.
        ValueError, ImportError: as for `hub.on_hub`.
    """
    name, _, version = named.partition("@")
    with _found(name, version or None, place) as row, tempfile.TemporaryDirectory(
        prefix=prefix(TEMPORARY)
    ) as scratch:  # fmt: skip
        local = Path(scratch, f"{name}-{row.version}.zip")
        shutil.copyfile(row.place, local)  # so what replaces it meanwhile is not seen
        where = place if place.startswith(START) else row.place
        try:
            manifest = read_packed(local).manifest
            said = (manifest.name, manifest.version, manifest.short)
            if said != (name, row.version, row.short or manifest.short):
                raise InputError(
                    "E_UNTRUSTED", where, f"it holds {said[0]} {said[1]} ({said[2]}).",
                    "Do not use it; ask who put it there.",
                )  # fmt: skip
            return receive(local, accepted=accepted, signed_by=signed_by)
        except InputError as error:
            raise _elsewhere(error, local, where, f"{name}@{row.version}") from error


def _found(name: str, version: str | None, place: str) -> AbstractContextManager[Version]:
    if place.startswith(START):
        return from_hub(name, version, place)
    return from_shelf(name, version, Path(place))


def _elsewhere(error: InputError, local: Path, where: str, named: str) -> InputError:
    """A refusal of a copy, as one of what was copied."""
    file = shlex.quote(str(local))
    receiving = f"medvol bundle receive {file}"
    pulling = f"medvol bundle pull {named} --from {shlex.quote(where)}"
    remedy = error.remedy.replace(receiving, pulling).replace(file, shlex.quote(where))
    path = error.path.replace(str(local), where)
    return InputError(error.code, path, error.reason, remedy)
