# SPDX-License-Identifier: Apache-2.0
"""Bundles that predict the class of each slice of a volume, and mark no voxels.

Short, since it reads what `Volumes` reads.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from ..answer import Answer
from .volumes import Volumes

if TYPE_CHECKING:
    from ..engine.pipeline import Pipeline, Processed


class Slices(Volumes):
    """Reads what `Volumes` reads, and answers with a probability of each slice."""

    gives = frozenset({"volume", "slices"})

    def answer(self, processed: "Processed", pipeline: "Pipeline") -> Answer:
        """The probability of the finding in each slice.

        Raises:
            InputError: E_BUNDLE, they are not those of the image's slices.
        """
        from ..engine.steps import PRED

        image, _, run = processed
        run = replace(run, notes=(*run.notes, *self._cut(image)))
        return Answer(image, self.spec, run, slices=self.slices(processed, pipeline, PRED))
