# SPDX-License-Identifier: Apache-2.0
"""What the server's own REST says, as models that its OpenAPI page shows."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from ...bundle.spec import Spec
from ..images import Stored
from ..jobs import Job, as_error
from ..studies import Looking


class SeriesShown(BaseModel):
    """A series of a study, to ask for by `options.series`."""

    series: str = Field(examples=["3"])
    words: str = Field(examples=["Thorax 1.0 · CT · 300 images · 1 mm apart"])
    suggested: bool = Field(description="whether it suits best")


class Problem(BaseModel):
    """Why something cannot be done."""

    code: str = Field(examples=["E_TRUNCATED"])
    reason: str = Field(examples=["it ends after 11 of 52 slices."])
    remedy: str = Field(examples=["Copy the file again."])
    series: list[SeriesShown] = Field(
        default_factory=list, description="to choose from, where a study has several"
    )


class ImageShown(BaseModel):
    """An image that the server has."""

    id: str = Field(examples=["6f1d0e2b8c9a4d57a3b2c1d0e9f8a7b6"])
    name: str = Field(examples=["ct.nii.gz"])
    size_bytes: int
    sha256: str = Field(description="empty where nobody has looked yet")
    since: float = Field(description="seconds since 1970")
    origin: str = Field(description='"upload", "studies", "archive" or "datastore"')
    modalities: list[str] = Field(description="that it may be of", examples=[["CT"]])
    description: str = Field(description="of the series", examples=["Thorax 1.0"])
    bundles: list[str] = Field(description="that may take it", examples=[["covid_ct_lesion_3d"]])

    @classmethod
    def of(cls, stored: Stored, bundles: Sequence[str]) -> "ImageShown":
        """What is shown of an image.

        Args:
            stored: the image.
            bundles: that may take it.
        """
        return cls(
            id=stored.id, name=stored.name, size_bytes=stored.size_bytes, sha256=stored.sha256,
            since=stored.since, origin=stored.origin, modalities=[*stored.modalities],
            description=stored.description, bundles=[*bundles],
        )  # fmt: skip


class SourceShown(BaseModel):
    """Where images can be chosen that were not sent: a folder of studies, or an archive."""

    origin: str = Field(description='"studies" or "archive", as images have it')
    looked: bool = Field(description="whether it was looked at once")
    problem: Problem | None = Field(description="why its images are not known, at present")

    @classmethod
    def of(cls, looking: Looking) -> "SourceShown":
        """What is shown of who looks at it."""
        problem = Problem(**as_error(looking.problem)) if looking.problem else None
        return cls(origin=looking.name, looked=looking.first.is_set(), problem=problem)


class BundleShown(BaseModel):
    """A bundle that is served."""

    name: str = Field(examples=["covid_ct_lesion_3d"])
    version: str
    task: str = Field(description='"volumes", "slices" or "radiographs"')
    takes: str = Field(description="what its images are, in words", examples=["CT volumes"])
    modality: str | None = Field(examples=["CT"])
    labels: list[dict[str, Any]] = Field(description="value, name, color and codes of each label")
    classes: list[str]
    intended_use: str
    display_window_hu: list[float] | None = Field(examples=[[-1350, 150]])

    @classmethod
    def of(cls, spec: Spec, takes: str) -> "BundleShown":
        """What is shown of a bundle.

        Args:
            spec: of the bundle.
            takes: what its images are.
        """
        window = spec.display_window_hu
        return cls(
            name=spec.name, version=spec.version, task=spec.task, takes=takes,
            modality=spec.modality, labels=spec.labels.to_json(), classes=list(spec.classes),
            intended_use=spec.intended_use, display_window_hu=list(window) if window else None,
        )  # fmt: skip


class Wanted(BaseModel):
    """A bundle that is to run on an image."""

    image: str = Field(description="id of an image", examples=["6f1d0e2b8c9a4d57a3b2c1d0e9f8a7b6"])
    bundle: str = Field(examples=["covid_ct_lesion_3d"])
    options: dict[str, Any] = Field(
        default_factory=dict, description="as `medvol predict` has them", examples=[{"gate": 0.2}]
    )
    formats: list[str] | None = Field(
        None, description="of files that are wanted; all without it", examples=[["nii", "csv"]]
    )


class StepShown(BaseModel):
    """What a job is at."""

    stage: str = Field(examples=["network"])
    done: int
    total: int = Field(description="0 where the stage has no steps")
    unit: str = Field(examples=["window"])


class FileShown(BaseModel):
    """A file of the results."""

    name: str = Field(examples=["segmentation.nii.gz"])
    holds: str = Field(examples=["the labels, on the grid of the image"])


class JobShown(BaseModel):
    """A bundle that is run on an image."""

    id: str
    image: str
    name: str
    bundle: str
    options: dict[str, Any]
    state: str = Field(description='"waiting", "running", "done", "refused" or "cancelled"')
    since: float
    started: float
    ended: float
    before: int = Field(description="jobs that wait before it")
    step: StepShown | None
    error: Problem | None
    found: dict[str, Any] = Field(description="the answer, as in run.json")
    files: list[FileShown]

    @classmethod
    def of(cls, job: Job, before: int = 0) -> "JobShown":
        """What is shown of a job.

        Args:
            job: as it is.
            before: jobs that wait before it.
        """
        step = job.step
        return cls(
            id=job.id, image=job.image, name=job.name, bundle=job.bundle, options=dict(job.options),
            state=job.state, since=job.since, started=job.started, ended=job.ended, before=before,
            step=StepShown(stage=step.stage, done=step.done, total=step.total, unit=step.unit)
            if step else None,
            error=Problem(**job.error) if job.error else None, found=dict(job.found),
            files=[FileShown(name=name, holds=holds) for name, holds in job.files.items()],
        )  # fmt: skip


class StoredShown(BaseModel):
    """What an archive took."""

    stored: int = Field(description="files that it has now", examples=[3])
    failed: list[str] = Field(description="why it did not take others", examples=[[]])
