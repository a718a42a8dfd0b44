# SPDX-License-Identifier: Apache-2.0
"""`/datastore/`: images and labels sent, listed and fetched as MONAI Label's clients do."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.responses import FileResponse
from starlette.responses import Response

from ...images import read_image
from ..images import SUFFIX
from ..service import Service
from . import forms
from .desk import Desk
from .infer import as_file
from .numbering import for_viewers
from .reply import Wish, mask_file
from .store import EXTENSION, FINAL, Entry, Store, file_of

Json = dict[str, Any]


def router(service: Service, desk: Desk) -> APIRouter:
    """The routes below `/datastore`.

    Args:
        service: that receives what is sent.
        desk: where it is handed in.
    """
    routes = APIRouter(prefix="/datastore", tags=["MONAI Label"])
    store = desk.store

    @routes.get("/", response_model=None)
    def listed(output: Literal["stats", "train", "all"] = "stats") -> Json | list[Json]:
        """How much there is; pairs that could be trained on; or every image and label."""
        if output == "stats":
            return stats(store)
        shown = {id_: shown_entry(entry) for id_, entry in store.entries().items()}
        if output == "train":
            pairs = [id_ for id_, entry in shown.items() if FINAL in entry["labels"]]
            return [{"image": id_, "label": id_} for id_ in pairs]
        return {"name": "medvol", "description": "", "images_dir": "", "labels_dir": "labels",
                "objects": shown}  # fmt: skip

    @routes.put("/", include_in_schema=False)
    @routes.put("/image")
    def add_image(
        file: Annotated[UploadFile, File()],
        image: str = "",
        params: Annotated[str, Form()] = "{}",
    ) -> Json:
        """Send an image that stays; one of the same id is replaced, if its labels fit."""
        said = forms.said(params)
        return {"image": desk.add_image(image, forms.receive(service, [file]), said)}

    @routes.delete("/", include_in_schema=False)
    @routes.delete("/image")
    def remove_image(id: str) -> Json:  # as clients call it
        """Delete an image with its labels."""
        store.remove_image(id)
        return {}

    @routes.head("/image")
    @routes.get("/image", response_class=FileResponse)
    def image(image: str) -> Response:
        """An image as it was sent; a DICOM series as one NRRD."""
        return desk.image(image)

    @routes.get("/image/info")
    def image_info(image: str) -> Json:
        """What is said of an image."""
        info: Json = store.get(image)["info"]
        return info

    @routes.put("/image/info")
    def say_of_image(image: str, info: Annotated[str, Form()] = "{}") -> Json:
        """Add to what is said of an image."""
        store.say(image, forms.said(info))
        return {}

    @routes.put("/label")
    def submit(
        image: str,
        label: Annotated[UploadFile, File()],
        params: Annotated[str, Form()] = "{}",
        tag: str = FINAL,
    ) -> Json:
        """Submit a label on the grid of its image; names count, numbers follow them."""
        kept = desk.submit(image, label, forms.said(params), tag or FINAL)
        return {"image": image, "label": image, "voxels": dict(kept.voxels)}

    @routes.head("/label")
    def has_label(image: str, tag: str = FINAL) -> Response:
        """Whether there is a label."""
        store.label(image, tag)
        return Response()

    @routes.get("/label", response_class=Response)
    def label(label: str, tag: str = FINAL) -> Response:
        """A label, with values 1 to N in the order of its names."""
        return as_file(f"label{EXTENSION}", label_file(store, label, tag))

    @routes.delete("/label")
    def remove_label(id: str, tag: str = FINAL) -> Json:  # as clients call it
        """Delete a label."""
        store.remove_label(id, tag)
        desk.write_datalists()
        return {}

    @routes.get("/label/info")
    def label_info(label: str, tag: str = FINAL) -> Json:
        """What is said of a label."""
        info: Json = shown_label(store.label(label, tag))["info"]
        return info

    @routes.put("/label/info")
    def say_of_label(label: str, tag: str = FINAL, info: Annotated[str, Form()] = "{}") -> Json:
        """Add to what is said of a label."""
        store.say(label, forms.said(info), tag=tag)
        return {}

    @routes.put("/updatelabelinfo")
    def update_label(label: str, tag: str = FINAL, params: Annotated[str, Form()] = "{}") -> Json:
        """The same under its older name, which 3D Slicer's reviewer uses."""
        store.say(label, forms.said(params), tag=tag)
        return {}

    return routes


def stats(store: Store) -> Json:
    """How many images there are, how many have a final label, and how many labels by tag."""
    entries = store.entries().values()
    tags: dict[str, int] = {}
    for entry in entries:
        for tag in entry["labels"]:
            tags[tag] = tags.get(tag, 0) + 1
    return {"total": len(entries), "completed": tags.get(FINAL, 0), "label_tags": tags}


def label_file(store: Store, id_: str, tag: str) -> bytes:
    """A label as viewers count, as the bytes of a NIfTI file.

    Args:
        store: that has it.
        id_: of its image.
        tag: that it is kept under.

    Raises:
        Missing: there is none.
        InputError: E_PATH, its file was taken away.
    """
    label = store.label(id_, tag)
    mask = read_image(file_of(store.folder, label["file"]), kind="mask")
    names = {int(value): name for value, name in label["names"].items()}
    return mask_file(for_viewers(mask.array, names), mask.affine, Wish(EXTENSION, "uint16"))


def shown_entry(entry: Entry) -> Json:
    """An entry as MONAI Label lists it."""
    labels = {tag: shown_label(label) for tag, label in entry["labels"].items()}
    suffix = SUFFIX.search(entry["file"] or entry["info"]["name"])
    image = {"ext": suffix[0] if suffix else "", "info": entry["info"]}
    return {"image": image, "labels": labels}


def shown_label(label: Entry) -> Json:
    """A label as MONAI Label lists it, with its names in the order of their values."""
    counted = {name: k for k, name in enumerate(label["names"].values(), start=1)}
    said = label["info"].get("params")
    params = {**(said if isinstance(said, dict) else {}), "label_names": counted}
    info = {"model": label["model"], **label["info"], "params": params}
    return {"ext": EXTENSION, "info": info}
