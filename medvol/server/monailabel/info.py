# SPDX-License-Identifier: Apache-2.0
"""`/info/`: what a viewer may ask for; without a top-level `config`, of which Slicer complains."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter

from ... import __version__
from ...bundle.spec import Spec
from ...tasks.task import task_of
from ...text import NOTICE
from ..service import Service
from .numbering import counted_names

SEGMENTS, CLASSIFIES = "segmentation", "classification"  # MONAI Label's types of models
More = Callable[[], Mapping[str, Any]]


def router(service: Service, more: Mapping[str, More]) -> APIRouter:
    """The route.

    Args:
        service: that has the bundles.
        more: key of the answer to what gives its value at that moment.
    """
    routes = APIRouter(tags=["MONAI Label"])

    @routes.get("/info/")
    def info() -> dict[str, Any]:
        """The bundles as models, and what else a viewer shows a button for."""
        models = {name: described(spec) for name, spec in service.bundles.items()}
        segmenting = [x for x in models.values() if x["type"] == SEGMENTS]
        labels = dict.fromkeys(label for model in segmenting for label in model["labels"])
        return {
            "name": "medvol", "description": NOTICE, "version": __version__,
            "labels": [*labels], "models": models, "scoring": {},
            **{key: dict(value()) for key, value in more.items()},
        }  # fmt: skip

    return routes


def segments(spec: Spec) -> bool:
    """Whether a bundle answers with a mask of its labels."""
    return "mask" in task_of(spec).gives and len(spec.labels) > 0


def described(spec: Spec) -> dict[str, Any]:
    """A bundle as a model of MONAI Label.

    Args:
        spec: of the bundle.
    """
    is_mask = segments(spec)
    names = [*counted_names(spec.labels).values()] if is_mask else [*spec.classes]
    takes = task_of(spec).takes
    return {
        "type": SEGMENTS if is_mask else CLASSIFIES,
        "labels": names,
        "dimension": 2 if spec.task == "radiographs" else 3,
        "description": f"{spec.name} {spec.version}: {takes}. {NOTICE}",
        "version": spec.version,
        "config": {},
    }
