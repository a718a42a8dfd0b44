# SPDX-License-Identifier: Apache-2.0
"""The datastore: images that wait for labels, and labels by tag, in a folder that is kept.

    datastore.json              images and labels, what is said of them; changed whole, under a lock
    images/ID.SUFFIX            images that were sent; those of the studies stay where they are
    labels/TAG/ID.nii.gz        masks on the grid of their image, in the values of a bundle
    datalists/BUNDLE.json       the final labels for `medvol train BUNDLE --data`

The names of files say nothing: who sent an image may have called it like a patient.
"""

import os
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...data.datalist import Datalist
from ...errors import InputError
from ...files import locked, read_json, write_json
from ...images.find import case_name
from ..images import SUFFIX, Images, Stored
from ..refusals import Missing
from .checking import Kept, Source

FILE = "datastore.json"
FINAL, ORIGINAL = "final", "original"
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
EXTENSION = ".nii.gz"
OWN = ("ts", "name", "SeriesInstanceUID", "StudyInstanceUID")  # what no client says of an entry
Entry = dict[str, Any]  # image, file, copy, info, labels: {tag: file, model, names, info}


class Store:
    """Images and labels; safe to use from several threads.

    Args:
        folder: of the datastore, of one server.
        images: of the server, by which bundles run on those of the datastore.
        fetched: brings an image of an archive onto the disk, and gives others as they are.
    """

    def __init__(
        self, folder: Path, images: Images, fetched: Callable[[Stored], Stored] = lambda x: x
    ) -> None:
        self.folder, self.images, self.fetched = folder.resolve(), images, fetched
        self.file = self.folder / FILE
        self.lock = threading.RLock()
        for name in ("images", "labels", "incoming", "datalists"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for left in self.incoming.iterdir():  # by a server that was killed
            left.unlink(missing_ok=True)

    @property
    def incoming(self) -> Path:
        """Folder of what is being looked at."""
        return self.folder / "incoming"

    def entries(self) -> dict[str, Entry]:
        """Id to entry: what was sent or labelled, and the images of studies."""
        with self.lock:
            own = self._read()
        known = {entry["image"] for entry in own.values()}
        studies = [x for x in self.images.all() if x.is_lent and x.id not in known and _is_one(x)]
        times = Counter(map(_called, studies))
        for stored in studies:
            if stored.origin != "datastore":
                name = _called(stored)
                is_free = times[name] == 1 and name not in own
                own.setdefault(name if is_free else stored.id, _entry(stored))
        return own

    def get(self, id_: str) -> Entry:
        """One entry.

        Raises:
            Missing: there is none.
        """
        entries = self.entries()
        if id_ not in entries:
            raise Missing("image")
        return entries[id_]

    def image(self, id_: str) -> Stored:
        """The image of an entry, as bundles run on it.

        Raises:
            Missing: there is none, or not any more.
        """
        entry = self.get(id_)
        if not entry["file"]:
            return self.images.get(entry["image"])
        path = self.folder / entry["file"]
        return self.images.lend(
            path, entry["info"]["name"], sha256=entry["sha256"], origin="datastore"
        )

    def source(self, id_: str) -> Source:
        """Where the image of an entry lies, on the disk from now on.

        Raises:
            Missing: as for `image`.
            InputError: E_ARCHIVE, it cannot be fetched.
        """
        stored = self.fetched(self.image(id_))
        return Source(str(stored.path), stored.series)

    def add_image(self, id_: str, sent: Stored, info: Mapping[str, Any]) -> str:
        """Keep an image that was sent, also after uploads are deleted; its labels stay with it.

        Args:
            id_: that the sender gives it; empty for the name of its file.
            sent: the upload, which ends.
            info: on the image.

        Returns:
            The id.
        """
        suffix = SUFFIX.search(sent.path.name)
        name = f"images/{secrets.token_hex(16)}{suffix[0] if suffix else ''}"
        os.replace(sent.path, self.folder / name)
        self.images.remove(sent.id)
        path = self.folder / name
        lent = self.images.lend(path, sent.name, sha256=sent.sha256, origin="datastore")
        with self._changing() as own:
            id_ = id_ or _free(case_name(sent.name), own)
            before = own.get(id_, {})
            own[id_] = {
                "image": lent.id, "file": name, "sha256": sent.sha256, "copy": "",
                "info": {**before.get("info", {}), **info, "ts": int(time.time()),
                         "name": sent.name},
                "labels": before.get("labels", {}),
            }  # fmt: skip
        if before.get("file"):
            self._forget(before)
        self._delete(before.get("file"), before.get("copy"))
        return id_

    def remove_image(self, id_: str) -> None:
        """Delete an image that was sent, with its labels; of one of the studies, the labels.

        Raises:
            Missing: there is none.
        """
        self.get(id_)
        with self._changing() as own:
            entry = own.pop(id_, {})
        if entry.get("file"):
            self._forget(entry)
        labels = [label["file"] for label in entry.get("labels", {}).values()]
        self._delete(entry.get("file"), entry.get("copy"), *labels)

    def add_label(
        self, id_: str, tag: str, mask: Path, kept: Kept, info: Mapping[str, Any], *,
        copy: Path | None = None,
    ) -> None:  # fmt: skip
        """Keep a label, in place of one of before.

        Args:
            id_: of its image.
            tag: "final", "original" or another.
            mask: file that was written for it, which is moved.
            kept: what is in it.
            info: on it.
            copy: of its image as one file, which is moved; None where the image is one.

        Raises:
            Missing: there is no such image.
            ValueError: the tag cannot be one.
        """
        check_tag(tag)
        entry = self.get(id_)
        name = f"labels/{tag}/{secrets.token_hex(16)}{EXTENSION}"
        (self.folder / name).parent.mkdir(exist_ok=True)
        os.replace(mask, self.folder / name)
        copied = ""
        if copy is not None:
            copied = f"images/{copy.name}"
            os.replace(copy, self.folder / copied)
        with self._changing() as own:
            entry = own.setdefault(id_, entry)
            before = entry["labels"].get(tag, {}).get("file")
            old_copy = entry["copy"] if copied else ""
            entry["copy"] = copied or entry["copy"]
            entry["labels"][tag] = {
                "file": name, "model": kept.model,
                "names": {str(value): name for value, name in sorted(kept.names.items())},
                "info": {**info, "ts": int(time.time()), "name": Path(name).name},
            }  # fmt: skip
        self._delete(before, old_copy)

    def label(self, id_: str, tag: str) -> Entry:
        """What is kept of a label.

        Raises:
            Missing: there is none.
        """
        labels: dict[str, Entry] = self.get(id_)["labels"]
        if tag not in labels:
            raise Missing("label")
        return labels[tag]

    def remove_label(self, id_: str, tag: str) -> None:
        """Delete a label.

        Raises:
            Missing: there is none.
        """
        with self._changing() as own:
            if tag not in own.get(id_, {}).get("labels", {}):
                raise Missing("label")
            label = own[id_]["labels"].pop(tag)
        self._delete(label["file"])

    def say(self, id_: str, info: Mapping[str, Any], *, tag: str = "") -> None:
        """Add to what is said of an image, or of one of its labels.

        Args:
            id_: of the image.
            info: on it; what the datastore itself says, such as its name, stays.
            tag: of the label; empty for the image.

        Raises:
            Missing: there is no such image or label, or not any more.
        """
        entry = self.get(id_)
        if tag:
            self.label(id_, tag)
        with self._changing() as own:
            entry = own.setdefault(id_, entry)
            if tag and tag not in entry["labels"]:
                raise Missing("label")
            said = entry["labels"][tag] if tag else entry
            known = {key: said["info"][key] for key in OWN if key in said["info"]}
            said["info"] = {**said["info"], **info, **known}

    def datalist(self, names: Mapping[int, str]) -> Datalist:
        """The final labels that hold nothing but what a bundle knows, in its values.

        Args:
            names: value to name of the bundle.
        """
        items = []
        for id_, entry in self._read().items():
            label = entry["labels"].get(FINAL)
            if label is None or not _agrees(label["names"], names):
                continue
            try:
                path = self.folder / entry["copy"] if entry["copy"] else self.image(id_).path
            except Missing:  # its study is not there any more
                continue
            mask = self.folder / label["file"]
            items.append({"image": str(path), "label": str(mask)})
        said = {"0": "background", **{str(value): name for value, name in names.items()}}
        return Datalist({"name": "submitted labels", "labels": said, "training": items})

    def _read(self) -> dict[str, Entry]:
        if not self.file.is_file():
            return {}
        remedy = "Restore it from a copy, or move the folder away."
        found = read_json(self.file, what="list of a datastore", remedy=remedy)
        images: dict[str, Entry] = found["images"]
        return images

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Entry]]:
        with self.lock, locked(self.file):
            content = self._read()
            yield content
            write_json(self.file, {"format": "medvol datastore 1", "images": content})

    def _forget(self, entry: Entry) -> None:
        with suppress(Missing):
            self.images.remove(entry["image"])

    def _delete(self, *names: str | None) -> None:
        for name in filter(None, names):
            (self.folder / name).unlink(missing_ok=True)


def _is_one(stored: Stored) -> bool:
    """Whether an image can be one file for a viewer; a folder of MR sequences cannot."""
    return bool(stored.series) or not stored.path.is_dir()


def check_tag(tag: str) -> None:
    """Refuse what no folder should be called.

    Raises:
        ValueError: it is no tag.
    """
    if not TAG.fullmatch(tag):
        raise ValueError(f"tag is {tag[:64]!r}; give letters, digits, _, - and .")


def file_of(folder: Path, name: str) -> Path:
    """A file of the datastore, which is there.

    Raises:
        InputError: E_PATH, it was taken away.
    """
    path = folder / name
    if not path.is_file():
        reason = "its file was taken out of the datastore."
        raise InputError("E_PATH", "datastore", reason, "Submit the label again.")
    return path


def _called(stored: Stored) -> str:
    return stored.series or case_name(stored.name)


def _entry(stored: Stored) -> Entry:
    info = {"ts": int(stored.since), "name": stored.name}
    if stored.series:
        info["SeriesInstanceUID"] = stored.series
    if stored.study:
        info["StudyInstanceUID"] = stored.study
    return {"image": stored.id, "file": "", "sha256": stored.sha256, "copy": "", "info": info,
            "labels": {}}  # fmt: skip


def _free(wanted: str, own: Mapping[str, Entry]) -> str:
    """An id that no image has: a name of a file is not one by which an image is replaced."""
    id_, count = wanted, 1
    while id_ in own:
        count += 1
        id_ = f"{wanted}_{count}"
    return id_


def _agrees(kept: Mapping[str, str], names: Mapping[int, str]) -> bool:
    return all(names.get(int(value)) == name for value, name in kept.items())
