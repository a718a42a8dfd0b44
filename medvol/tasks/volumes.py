# SPDX-License-Identifier: Apache-2.0
"""Bundles that label the voxels of a volume, with or without a gate before the segmenter."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..answer import PART, Answer, Slices
from ..bundle.spec import Spec, with_labels
from ..errors import InputError, Note
from ..images.channels import find_channels
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
from .mask_values import Mask, of_labels, of_regions

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

    @property
    def _own_channels(self) -> tuple[str, ...]:
        """MR channels of a bundle made elsewhere; none where they are those that medvol knows."""
        spec = self.spec
        known = not spec.takes_sequences or spec.channels == SEQUENCE_NAMES
        return () if known else spec.channels

    def find(self, folder: Path) -> list[Path]:
        """The volumes directly in a folder, or else in its sub-folders; of a bundle of MR
        sequences, the patients."""
        if self._own_channels:
            return find_channels(folder, self._own_channels)
        if self.spec.takes_sequences:
            return find_patients(folder)
        return find_volumes(folder) or find_volumes_deeper(folder)

    def read(self, source: Source, reading: Reading) -> Image:
        """Read a volume, and check that its values are what the bundle expects.

        Raises:
            InputError: it cannot be used; the code says why. E_BUNDLE, the bundle takes several
                channels of another kind than MR; E_DIMS, an image in memory for one that has
                channels of its own.
        """
        spec = self.spec
        slabs = spec.is_medvols  # which make channels of one volume
        if not slabs and len(spec.channels) > 1 and not spec.takes_sequences:
            raise InputError(
                "E_BUNDLE", spec.folder,
                f"it takes {len(spec.channels)} channels ({', '.join(spec.channels)}) of "
                f"{spec.modality or 'a kind that it does not name'}; medvol reads several of MR.",
                "Run it with python -m monai.bundle run.",
            )  # fmt: skip
        if self._own_channels and not isinstance(source, str | os.PathLike):
            raise InputError(
                "E_DIMS", "an image in memory", f"the bundle takes {', '.join(spec.channels)}, "
                "which are read of files.", "Give a folder, or a 4D NIfTI, of them.",
            )  # fmt: skip
        image = opened(source, self.kind, reading, channels=self._own_channels)
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
        from ..transforms.undecided import SHARE

        image, data, run = processed
        found, slices = self._mask(processed), self.slices(processed, pipeline, SLICES)
        run = replace(run, notes=(*run.notes, *found.notes), undecided=data.get(SHARE))
        organ = self.spec.reference
        if organ is not None and slices is not None and slices.passed_by:
            remarks = run.remarks
            if slices.segmented:
                remarks += (
                    f"The gate let {slices.segmented} of {slices.judged} slices pass: volume and "
                    f"shares of the {organ.name} are of these alone.",
                )
            run = replace(run, notes=(*run.notes, *self._cut(image)), remarks=remarks)
        spec = self.spec if found.labels is None else with_labels(self.spec, found.labels)
        return Answer(image, spec, run, mask=found.array, slices=slices)

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

    def _mask(self, processed: "Processed") -> Mask:
        """The labels as an array, when they are whole numbers on the input's own grid.

        A prediction that carries no affine lies on the grid of the network's input.
        """
        from ..engine.steps import IMAGE, PRED

        image, data, _ = processed
        array, spec = np.asarray(data[PRED].cpu()), self.spec
        channels = len(spec.overlapping) if array.shape[:1] == (len(spec.overlapping),) else 1
        if array.shape != (channels, *image.array.shape):
            raise self._off_grid(
                f"its mask has shape {array.shape}, the input's grid is {image.array.shape}."
            )
        affine = np.asarray(getattr(data[PRED], "affine", data[IMAGE].affine))
        if not same_grid(array.shape[1:], affine, image.array.shape, image.affine):
            raise self._off_grid("its mask lies elsewhere in the patient than the input.")
        if channels > 1:
            return of_regions(array, spec.overlapping)
        if not spec.is_medvols:
            try:
                return of_labels(array[0], spec.labels, of_regions=bool(spec.overlapping))
            except ValueError as error:
                raise self._off_grid(f"{error}.") from error
        labels = spec.labels
        if not marked(array[0], [0, *(label.value for label in labels)]).all():
            raise self._off_grid("its mask holds values that its label table does not name.")
        return Mask(array[0].astype(labels.dtype, copy=False))

    def _off_grid(self, reason: str) -> InputError:
        return InputError(
            "E_BUNDLE", self.spec.folder, reason,
            "End the bundle's postprocessing with Invertd and one channel of labels.",
        )  # fmt: skip
