# SPDX-License-Identifier: Apache-2.0
"""Where images and labels are handed in: each is looked at before it is kept."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import UploadFile
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask
from starlette.responses import Response

from ...errors import InputError
from ..images import SUFFIX, Stored
from ..service import Service
from . import forms
from .checking import RAW, Copied, Kept, Source, Submitted, ask
from .info import segments
from .numbering import counted_names, said_names
from .store import EXTENSION, Entry, Store, check_tag, file_of


class Desk:
    """Where labels are handed in: they are looked at before they are kept.

    Args:
        service: whose bundles name the labels.
        store: that keeps them.
    """

    def __init__(self, service: Service, store: Store) -> None:
        self.service, self.store = service, store

    def add_image(self, id_: str, sent: Stored, info: Mapping[str, Any]) -> str:
        """Keep an image; another one under an id with labels must lie on their grid.

        Args:
            id_: that its sender gives it; empty for none.
            sent: the upload, which ends.
            info: on it.

        Raises:
            InputError: E_CHANGED, it does not; or it cannot be read.
        """
        before = self.store.entries().get(id_) if id_ else None
        if before is not None and before["sha256"] == sent.sha256 and before["file"]:
            self.service.images.remove(sent.id)
            self.store.say(id_, info)
            return id_
        for label in (before or {}).get("labels", {}).values():
            self._check_fits(sent, label)
        return self.store.add_image(id_, sent, info)

    def submit(self, id_: str, label: UploadFile, said: Mapping[str, Any], tag: str) -> Kept:
        """Look at a label and keep it.

        Args:
            id_: of its image.
            label: file of the form.
            said: on it, with `label_info`.
            tag: to keep it under.

        Raises:
            Missing: there is no such image.
            InputError: why it is refused.
        """
        check_tag(tag)
        source = self.store.source(id_)
        sent = self._place(_suffix(label.filename))
        mask, copy = self._place(EXTENSION), None
        if not Path(source.path).is_file() or source.path.endswith(".zip"):
            copy = self._place(".nrrd")
        try:
            with sent.open("wb") as stream:
                while part := label.file.read(forms.PART_BYTES):
                    stream.write(part)
            order = Submitted(
                source, str(sent), said_names(said.get("label_info")), self.tables(said),
                str(mask), str(copy or ""),
            )  # fmt: skip
            kept: Kept = self._ask(order)
            self.store.add_label(id_, tag, mask, kept, said, copy=copy)
        finally:
            for path in filter(None, (sent, mask, copy)):
                path.unlink(missing_ok=True)
        self.write_datalists()
        return kept

    def keep(self, id_: str, tag: str, mask: Path, model: str, info: Mapping[str, Any]) -> None:
        """Keep an answer of a bundle as a label.

        Args:
            id_: of the image.
            tag: to keep it under.
            mask: of the answer, which stays.
            model: bundle that gave it.
            info: on it.
        """
        names = counted_names(self.service.bundles[model].labels)
        place = self._place(EXTENSION)
        place.write_bytes(mask.read_bytes())
        self.store.add_label(id_, tag, place, Kept(model, names, {}), info)

    def image(self, id_: str) -> Response:
        """An image of the datastore as one file."""
        source, name = self.store.source(id_), self.store.image(id_).name
        if Path(source.path).is_file() and not source.series:
            return FileResponse(source.path, filename=name)
        copy = self._place(".nrrd")
        self._ask(Copied(source, str(copy)))
        return FileResponse(
            copy, filename="image.nrrd", background=BackgroundTask(copy.unlink, missing_ok=True)
        )

    def tables(self, said: Mapping[str, Any]) -> dict[str, dict[int, str]]:
        """Bundle to its labels, the one first that the sender names."""
        bundles = self.service.bundles
        first = sorted(bundles, key=lambda name: name != said.get("model"))
        return {x: counted_names(bundles[x].labels) for x in first if segments(bundles[x])}

    def write_datalists(self) -> None:
        """Write the datalist of each bundle that labels are there for."""
        for name, table in self.tables({}).items():
            datalist = self.store.datalist(table)
            path = self.store.folder / "datalists" / f"{name}.json"
            if datalist.parts["training"]:
                datalist.write(path)
            else:
                path.unlink(missing_ok=True)

    def _place(self, suffix: str) -> Path:
        return self.store.incoming / f"{secrets.token_hex(16)}{suffix}"

    def _check_fits(self, sent: Stored, label: Entry) -> None:
        names = {int(value): name for value, name in label["names"].items()}
        path = file_of(self.store.folder, label["file"])
        try:
            self._ask(Submitted(Source(str(sent.path)), str(path), names, {}))
        except InputError as error:
            self.service.images.remove(sent.id)
            reason = f"the image of this id has labels that do not fit this one: {error.reason}"
            raise InputError(
                "E_CHANGED", "image", reason, "Send it under another id, or delete the labels."
            ) from error

    def _ask(self, order: Submitted | Copied) -> Any:
        settings = self.service.settings
        read = [settings.folder, *([settings.studies] if settings.studies else [])]
        return ask(order, read=read, write=self.store.incoming)


def _suffix(name: str | None) -> str:
    """Suffix by which a reader may know a label that was sent."""
    lower = (name or "").lower()
    found = SUFFIX.search(lower)
    return RAW if lower.endswith(RAW) else found[0] if found else ""
