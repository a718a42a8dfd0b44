# SPDX-License-Identifier: Apache-2.0
"""Bundles that label the voxels of a volume, with or without a gate before the segmenter."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..answer import PART, Answer, Slices
from ..bundle.spec import Spec
from ..errors import InputError, Note
from ..images.find import find_volumes, find_volumes_deeper
from ..images.image import Image, Kind
from ..images.modality import checked_ct
from ..images.sequences import find_patients
from ..images.slice_images import SEQUENCE_NAMES
from ..metrics.coverage import cut_note
from ..metrics.measurements import marked
from ..slices import positive
from ..spatial import same_grid, slice_z_mm, spacing_mm
from .cases import Reading, Source, opened, strict

if TYPE_CHECKING:
    from ..engine.pipeline import Pipeline, Processed

LUNGS = "lungs"  # as `coverage` of the metadata names them
COARSE_MM = 3.0  # voxels across the patient in which the air of the lungs is looked for
EVEN = 0.5  # threshold of a classifier of slices whose metadata name none


class Volumes:
    """Reads volumes or a patient's MR sequences, and answers with a mask.

    Args:
        spec: of the bundle.
    """

    takes = "volumes"
    options = frozenset({"gate", "series", "all_series", "spacing"})
    gives = frozenset({"volume", "mask", "slices"})
    formats = None
    report = ("html",)
    batch_size = None
    any_reader = True
    pictures = False

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    @property
    def kind(self) -> Kind:
        """Several MR sequences on one grid, or one volume."""
        return "sequences" if self.spec.takes_sequences else "volume"

    def find(self, folder: Path) -> list[Path]:
        """The volumes directly in a folder, or else in its sub-folders; of a bundle of MR
        sequences, the patients."""
        if self.spec.takes_sequences:
            return find_patients(folder)
        return find_volumes(folder) or find_volumes_deeper(folder)

    def read(self, source: Source, reading: Reading) -> Image:
        """Read a volume, and check that its values are what the bundle expects.

        Raises:
            InputError: it cannot be used; the code says why. E_BUNDLE, the bundle takes other MR
                sequences than medvol reads.
        """
        spec = self.spec
        if spec.takes_sequences and spec.channels != SEQUENCE_NAMES:
            raise InputError(
                "E_BUNDLE", spec.folder,
                f"it takes several MR channels ({', '.join(spec.channels)}), of which medvol "
                f"reads no others than {', '.join(SEQUENCE_NAMES)}.",
                "Run it with python -m monai.bundle run.",
            )  # fmt: skip
        image = opened(source, self.kind, reading)
        if spec.modality == "CT":
            image = checked_ct(image)
        if spec.coverage is not None:
            lacking = spec.coverage.notes(image.array.shape, image.affine)
            image = replace(image, notes=(*image.notes, *lacking))
        return strict(image, reading)

    def answer(self, processed: "Processed", pipeline: "Pipeline") -> Answer:
        """The mask, and what a gate found in each slice.

        Raises:
            InputError: E_BUNDLE, they do not lie on the image's own grid.
        """
        from ..engine.pipeline import SLICES

        image, _, run = processed
        mask, slices = self._mask(processed), self.slices(processed, pipeline, SLICES)
        organ = self.spec.reference
        if organ is not None and slices is not None and slices.passed_by:
            remarks = run.remarks
            if slices.segmented:
                remarks += (
                    f"The gate let {slices.segmented} of {slices.judged} slices pass: volume and "
                    f"shares of the {organ.name} are of these alone.",
                )
            run = replace(run, notes=(*run.notes, *self._cut(image)), remarks=remarks)
        return Answer(image, self.spec, run, mask=mask, slices=slices)

    def slices(
        self, processed: "Processed", pipeline: "Pipeline", key: str
    ) -> Slices | None:  # fmt: skip
        """Probabilities of the input's own slices.

        Args:
            processed: what the bundle's parts gave.
            pipeline: that gave it.
            key: item of its data, (1 or 2, N).

        Returns:
            None where there is no such item.

        Raises:
            InputError: E_BUNDLE, they are not those of the image's slices.
        """
        from ..engine.devices import part_of
        from ..inferers.gated import GatedInferer

        image, data, _ = processed
        if (values := data.get(key)) is None:
            return None
        z_mm = slice_z_mm(image.array.shape, image.affine)
        given = np.asarray(values.cpu(), np.float32)
        if given.ndim != 2 or given.shape[1] != len(z_mm):
            raise InputError(
                "E_BUNDLE", self.spec.folder,
                f"its answer has shape {given.shape}, the input has {len(z_mm)} slices.",
                "Bring it to the input's slices with medvol's InvertSlicesd.",
            )  # fmt: skip
        gated, rule = part_of(pipeline.inferer, GatedInferer), self.spec.slice_rule
        threshold = gated.gate.threshold if gated else rule.threshold if rule else None
        passing = gated.passing if gated else None
        return Slices(
            probability=positive(given),
            threshold=EVEN if threshold is None else threshold,
            z_mm=z_mm,
            segmented=None if passing is None else int(passing.sum()),
            judged=None if passing is None else passing.numel(),
        )

    def _cut(self, image: Image) -> list[Note]:
        """N_COVERAGE where the air of the lungs goes on beyond the stack, and no mask says so."""
        from nibabel.orientations import (
            apply_orientation,
            axcodes2ornt,
            io_orientation,
            ornt_transform,
        )

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

    def _mask(self, processed: "Processed") -> npt.NDArray[np.unsignedinteger]:
        """The labels as an array, when they are whole numbers on the input's own grid.

        A prediction that carries no affine lies on the grid of the network's input.
        """
        from ..engine.pipeline import PRED
        from ..engine.steps import IMAGE

        image, data, _ = processed
        array = np.asarray(data[PRED].cpu())
        if array.shape != (1, *image.array.shape):
            raise self._off_grid(
                f"its mask has shape {array.shape}, the input's grid is {image.array.shape}."
            )
        affine = np.asarray(getattr(data[PRED], "affine", data[IMAGE].affine))
        if not same_grid(array.shape[1:], affine, image.array.shape, image.affine):
            raise self._off_grid("its mask lies elsewhere in the patient than the input.")
        labels = self.spec.labels
        if not marked(array[0], [0, *(label.value for label in labels)]).all():
            raise self._off_grid("its mask holds values that its label table does not name.")
        return array[0].astype(labels.dtype, copy=False)

    def _off_grid(self, reason: str) -> InputError:
        return InputError(
            "E_BUNDLE", self.spec.folder, reason,
            "End the bundle's postprocessing with Invertd and one channel of labels.",
        )  # fmt: skip
