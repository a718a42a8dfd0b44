# SPDX-License-Identifier: Apache-2.0
"""The remote REST of 3D Slicer's MONAIAuto3DSeg module, which needs nothing of ours in Slicer.

The module lists `/models`, sends the volumes that the user chose to `/infer`, and opens what comes
back. That is a `.seg.nrrd`, in which names, colours and codes of the segments lie: the module finds
no segment to colour by its own terminology, so what the bundle says stays.
"""

import csv
import html
import io
import shutil
import zipfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import IO, Any, cast

from fastapi import APIRouter, Request, UploadFile
from fastapi.responses import FileResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool

from .. import __version__
from ..bundle.spec import Spec
from ..errors import InputError
from ..images.slice_images import SEQUENCE_NAMES, SEQUENCES
from ..labels import LabelTable
from ..outputs.registry import OUTPUTS
from ..tasks.task import task_of
from ..text import NOTICE
from .images import Receiving, Stored
from .refusals import Missing
from .service import Service
from .waiting import ended

FORMATS = ("seg",)
SEGMENTS = OUTPUTS[FORMATS[0]].file
CODED = {  # a code's column in the table of labels, and the field of `Terminology` that fills it
    "SegmentedPropertyCategoryCodeSequence": "category",
    "SegmentedPropertyTypeCodeSequence": "type",
    "SegmentedPropertyTypeModifierCodeSequence": "",
    "AnatomicRegionSequence": "region",
    "AnatomicRegionModifierSequence": "",
}
CODE = {"CodingSchemeDesignator": "scheme", "CodeValue": "value", "CodeMeaning": "meaning"}
COLORS = ("Color_R", "Color_G", "Color_B", "Color_A")  # as 3D Slicer's colour tables have them
OPAQUE = 255
Volume = UploadFile | None


def router(service: Service) -> APIRouter:
    """The routes that the module asks.

    Args:
        service: that does the work.
    """
    routes = APIRouter(tags=["MONAIAuto3DSeg"])

    def known(name: str) -> Spec:
        if name not in names(service):
            raise Missing("model")
        return service.bundles[name]

    @routes.get("/models")
    def models() -> list[dict[str, Any]]:
        """The bundles that segment volumes."""
        return [model(service.bundles[name]) for name in names(service)]

    @routes.get("/modelinfo")
    def model_info(id: str) -> dict[str, Any]:
        """One of them."""
        return model(known(id))

    @routes.get("/monaiinfo")
    def monai_info() -> str:
        """What the module shows as the versions of the server's packages."""
        return packages()

    @routes.get("/labelDescriptions", response_class=PlainTextResponse)
    def label_descriptions(id: str) -> PlainTextResponse:
        """The labels of one of them as a table: values, names, colours and codes."""
        return PlainTextResponse(label_csv(known(id).labels), media_type="text/csv")

    @routes.post("/infer", response_class=FileResponse)
    async def infer(
        request: Request,
        model_name: str,
        image_file: UploadFile,
        image_file_2: Volume = None,
        image_file_3: Volume = None,
        image_file_4: Volume = None,
    ) -> FileResponse:
        """Segment one volume, or one of each sequence; answers with the segments as NRRD."""
        spec = known(model_name)
        others = (image_file_2, image_file_3, image_file_4)
        files = [image_file, *(other for other in others if other is not None)]
        stored = await run_in_threadpool(_received, service, spec, files)
        job = service.submit(stored.id, spec.name, formats=FORMATS)
        job = await ended(service, job, request)
        return FileResponse(service.file(job, SEGMENTS), filename=SEGMENTS)

    return routes


def names(service: Service) -> list[str]:
    """Names of the bundles that answer with a mask of a volume, or of sequences that are read.

    Args:
        service: that has them.
    """
    return [
        name for name, spec in service.bundles.items()
        if "mask" in task_of(spec).gives
        and (not spec.takes_sequences or spec.channels == SEQUENCE_NAMES)
    ]  # fmt: skip


def model(spec: Spec) -> dict[str, Any]:
    """A bundle as the module lists it.

    Args:
        spec: of the bundle.
    """
    segments = [label.name for label in spec.labels]
    use, modality = spec.intended_use or NOTICE, spec.modality or ""
    lines = {
        "Model": f"{spec.name} ({spec.version})", "Use": use, "Imaging modality": modality,
        "Segments": ", ".join(segments),
    }  # fmt: skip
    return {
        "id": spec.name, "title": spec.name, "version": spec.version, "description": use,
        "subject": "", "imagingModality": modality, "inputs": inputs(spec),
        "segmentNames": segments, "sampleData": None, "url": "", "deprecated": False,
        "details": "".join(f"<p><b>{key}:</b> {html.escape(line)}" for key, line in lines.items()),
    }  # fmt: skip


def inputs(spec: Spec) -> list[dict[str, str]]:
    """The volumes that the module lets the user choose for a bundle.

    Args:
        spec: of the bundle.
    """
    if not spec.takes_sequences:
        return [{"title": "Input volume"}]
    return [{"title": channel[:1].upper() + channel[1:]} for channel in spec.channels]


def packages() -> str:
    """medvol and what computes in it, with their versions, a line each."""
    lines = [f"medvol {__version__}"]
    for name in ("monai", "torch"):
        try:
            lines.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return "\n".join(lines)


def label_csv(labels: LabelTable) -> str:
    """A table of labels, a row each, with the columns that the module and 3D Slicer know.

    Args:
        labels: of a bundle.

    Example:
        >>> from medvol.labels import Label
        >>> label_csv(LabelTable((Label(1, "lung", (10, 20, 30)),))).splitlines()[1]
        '1,lung,10,20,30,255,,,,,,,,,,,,,,,'
    """
    columns = [f"{code}.{part}" for code in CODED for part in CODE]
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["LabelValue", "Name", *COLORS, *columns])
    for label in labels:
        codes = []
        for field in CODED.values():
            code = getattr(label.terminology, field, None) if field else None
            codes += [getattr(code, part, "") for part in CODE.values()]
        rows.writerow([label.value, label.name, *label.color, OPAQUE, *codes])
    return text.getvalue()


def _received(service: Service, spec: Spec, files: Sequence[UploadFile]) -> Stored:
    """The volume that was sent, as it is; or the sequences, in an archive, under their names.

    Raises:
        InputError: E_SERIES, another number of volumes than the bundle takes.
        RuntimeError: what was received is not there.
    """
    wanted = inputs(spec)
    if len(files) != len(wanted):
        asked = ", ".join(row["title"] for row in wanted)
        reason = f"{len(files)} volumes were sent; {spec.name} takes {len(wanted)} ({asked})."
        raise InputError("E_SERIES", "upload", reason, "Choose a volume for each input.")
    if len(files) == 1:
        with service.images.receiving(files[0].filename or "volume.nrrd") as coming:
            shutil.copyfileobj(files[0].file, coming)
    else:
        with service.images.receiving("sequences.zip") as coming:
            _pack(files, coming)
    if coming.stored is None:
        raise RuntimeError("an image came whole and was not kept")
    return coming.stored


def _pack(files: Sequence[UploadFile], coming: Receiving) -> None:
    """Write sequences into an archive, each under the name by which `load_sequences` knows it."""
    with zipfile.ZipFile(cast("IO[bytes]", coming), "w") as archive:
        for sequence, file in zip(SEQUENCES, files, strict=True):
            entry = zipfile.ZipInfo(f"{sequence}.nrrd")  # same files, same bytes: no time of day
            with archive.open(entry, "w", force_zip64=True) as member:
                shutil.copyfileobj(file.file, member)
