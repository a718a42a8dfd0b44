# SPDX-License-Identifier: Apache-2.0
"""Bundles that predict the class of each slice of a volume, and mark no voxels."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform

from ..answer import PART, Answer
from ..errors import Note
from ..images.image import Image
from ..metrics.coverage import cut_note
from ..spatial import spacing_mm
from .volumes import Volumes

if TYPE_CHECKING:
    from ..engine.pipeline import Pipeline, Processed

LUNGS = "lungs"  # as `coverage` of the metadata names them
COARSE_MM = 3.0  # voxels across the patient in which the air of the lungs is looked for


class Slices(Volumes):
    """Reads what `Volumes` reads, and answers with a probability of each slice."""

    gives = frozenset({"slices"})

    def answer(self, processed: "Processed", pipeline: "Pipeline") -> Answer:
        """The probability of the finding in each slice.

        Raises:
            InputError: E_BUNDLE, they are not those of the image's slices.
        """
        from ..engine.pipeline import PRED

        image, _, run = processed
        run = replace(run, notes=(*run.notes, *self._cut(image)))
        return Answer(image, self.spec, run, slices=self.slices(processed, pipeline, PRED))

    def _cut(self, image: Image) -> list[Note]:
        """N_COVERAGE where the air of the lungs goes on beyond the stack; there is no mask here."""
        from ..transforms.body import lung_mask

        known = any(note.code == PART for note in image.notes)
        needs = self.spec.coverage
        if needs is None or known or self.spec.modality != "CT" or needs.organ != LUNGS:
            return []
        turn = ornt_transform(io_orientation(image.affine), axcodes2ornt("RAS"))
        upright = apply_orientation(image.array, turn)
        across = [spacing_mm(image.affine)[int(axis)] for axis in np.argsort(turn[:, 0])[:2]]
        coarse = tuple(slice(None, None, max(1, round(COARSE_MM / side))) for side in across)
        return cut_note(lung_mask(upright[coarse]).sum(axis=(0, 1), dtype=np.int64), "lung")
