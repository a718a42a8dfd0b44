# SPDX-License-Identifier: Apache-2.0
"""Which bundles take an image that another one refuses."""

import re
from collections.abc import Collection
from pathlib import Path

from ..bundle.find import MODALITIES
from ..bundle.listing import listed
from ..bundle.spec import Spec
from ..errors import InputError
from ..images.formats import format_of


def bundles_for(modalities: Collection[str]) -> list[str]:
    """Names of the bundles that take images of these modalities, such as "CT"."""
    return [x.folder.name for x in listed() if x.spec is not None and x.spec.modality in modalities]


def with_bundles(error: InputError, spec: Spec) -> InputError:
    """A refusal of an image of another kind, with the bundles that take it; others as they are.

    Args:
        error: of an image that was read for a bundle.
        spec: of this bundle.
    """
    wanted: set[str] = set()
    if error.code == "E_MODALITY":  # the line says what was seen
        wanted = {name for name in MODALITIES if re.search(rf"\b{name}\b", error.reason)}
    elif error.code == "E_FORMAT":
        wanted = _modalities_of(Path(error.path))
    names = bundles_for(wanted - {spec.modality or ""})
    if not names or (error.code == "E_FORMAT" and spec.modality in wanted):
        return error
    remedy = f"{error.remedy} Bundles for such an image: {', '.join(names)}."
    return InputError(error.code, error.path, error.reason, remedy)


def _modalities_of(path: Path) -> set[str]:
    """What a file may hold, by its format."""
    try:
        form = format_of(path)
    except (InputError, OSError):  # a folder, or nothing
        return set()
    volume, picture = (form.volume, form.radiograph) if form else (None, None)
    return {*(("CT", "MR") if volume else ()), *(("XR",) if picture else ())}
