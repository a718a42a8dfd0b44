# SPDX-License-Identifier: Apache-2.0
"""Every file that medvol writes of an answer: its name, what it holds and needs, who writes it.

A new one is a line here and a module with `write(path, saving)`. Nothing heavy is imported before a
file is written.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..answer import Answer

# what an answer can have
HAS: Mapping[str, Callable[["Answer"], bool]] = MappingProxyType(
    {
        "volume": lambda answer: answer.image.array.ndim == 3,
        "mask": lambda answer: answer.mask is not None,
        "mask of a volume": lambda answer: answer.mask is not None and min(answer.mask.shape) > 1,
        "slices": lambda answer: answer.slices is not None,
        "several slices": lambda answer: (
            answer.slices is not None and len(answer.slices.probability) > 1
        ),
        "mask of slice pictures": lambda answer: (
            answer.mask is not None and "slices" in answer.image.facts
        ),
        "classes": lambda answer: answer.classes is not None,
        "attention": lambda answer: (
            answer.classes is not None and answer.classes.attention is not None
        ),
        "picture": lambda answer: any(
            HAS[needed](answer) for needed in ("mask", "several slices", "classes")
        ),
        "difference": lambda answer: (
            answer.given is not None and answer.given.predicted is not None
        ),
    }
)
RECORD = "json"  # format of the record of a run
INDEX, THUMBNAIL = "index", "thumbnail"  # the page of all cases, and the pictures on it
# what a task must give for it; what is not listed depends on the image or on what is asked for
GIVEN_WITH = {
    "mask of a volume": "mask", "several slices": "slices", "mask of slice pictures": "mask",
    "attention": "classes", "difference": "mask by hand", "picture": "",
}  # fmt: skip


@dataclass(frozen=True)
class Output:
    """A file of one answer, or one for all answers of a run.

    Args:
        name: of the format, as `--format` takes it.
        file: name of the file, or of the folder for several.
        holds: what is in it, in words.
        needs: what an answer must have, of `HAS`; empty for a file of every answer.
        writer: module and function in `outputs`.
        unasked: written also where no format is named.
        together: one file for all images of a run, in the output folder itself.
        of_dicom: of a DICOM image only, whose patient and study it becomes a part of.
        drawn: a picture; one is drawn at a time.
        shows: other files of the answer, after which it is written.
    """

    name: str
    file: str
    holds: str
    needs: str
    writer: str
    unasked: bool = True
    together: bool = False
    of_dicom: bool = False
    drawn: bool = False
    shows: bool = False

    def fits(self, answer: "Answer") -> bool:
        """Whether an answer has what this file needs."""
        return not self.needs or HAS[self.needs](answer)

    def lacks(self, gives: Collection[str]) -> str:
        """What this file needs and a task does not give, such as "mask"; empty where it gives all.

        Args:
            gives: what the answers of the task can have.
        """
        needed = GIVEN_WITH.get(self.needs, self.needs)
        return "" if needed in gives else needed

    @property
    def write(self) -> Callable[..., Any]:
        """The function that writes it."""
        module, _, function = self.writer.rpartition(".")
        written: Callable[..., Any] = getattr(import_module(f".{module}", __package__), function)
        return written


def _named(*outputs: Output) -> Mapping[str, Output]:
    return MappingProxyType({output.name: output for output in outputs})


OUTPUTS = _named(
    Output("nii", "segmentation.nii.gz",
           "the labels, on the grid of the image", "mask", "mask.write"),
    Output("seg", "segmentation.seg.nrrd",
           "the same as segments with names, colours and medical codes", "mask", "seg_nrrd.write"),
    Output("scene", "scene.mrb",
           "image and segments together, ready to look at in 3D Slicer", "mask",
           "slicer_scene.write"),
    Output("image", "image.nii.gz",
           "the image as it was read, without what its header said", "volume",
           "image.write", unasked=False),
    Output("csv", "measurements.csv",
           "per label: voxels, volume in ml, mean value, share of the organ", "mask",
           "measurements.write"),
    Output("png", "overlay.png",
           "the slices with most lesion", "mask", "pictures.write_overlay", drawn=True),
    Output("preview", "preview.png",
           "the lesions in 3D, from four sides, inside the organ", "mask of a volume",
           "pictures.write_preview", drawn=True),
    Output("slices", "slices.csv",
           "per slice: height in mm, probability, marked voxels", "slices", "slice_table.write"),
    Output("profile", "slices.png",
           "the probability along z beside the coronal view", "several slices",
           "pictures.write_profile", drawn=True),
    Output("masks", "masks",
           "a mask for each slice picture, as large as the picture", "mask of slice pictures",
           "slice_masks.write"),
    Output("rle", "masks_rle.csv",
           "run lengths of these masks", "mask of slice pictures",
           "slice_masks.write_runs", unasked=False),
    Output("cases", "cases.csv",
           "a row a case: answer, measurements, notes, refusals, times", "",
           "case_table.write", together=True),
    Output("index", "index.html",
           "a page of all cases: a table with pictures, figures and links", "",
           "case_index.write", together=True),
    Output("cases-json", "cases.json",
           "what was found in each case, for programs and for a later run", "",
           "case_record.write", unasked=False, together=True),
    Output("attention", "overlay.png",
           "the radiograph, plain and under its map", "attention",
           "pictures.write_attention", drawn=True),
    Output("difference", "difference.csv",
           "per region: the prediction beside the mask by hand", "difference",
           "difference.write"),
    Output("errors", "errors.png",
           "where the prediction and the mask by hand differ", "difference",
           "difference.write_picture", drawn=True),
    Output("errors-seg", "errors.seg.nrrd",
           "the same as segments, to lay over the image in 3D Slicer", "difference",
           "difference.write_segments"),
    Output("dicom-seg", "segmentation.dcm",
           "the labels as a DICOM Segmentation, for the image's archive", "mask",
           "dicom.segmentation.write", unasked=False, of_dicom=True),
    Output("dicom-sr", "report.dcm",
           "the measurements as a DICOM Structured Report", "",
           "dicom.report.write", unasked=False, of_dicom=True),
    Output("dicom-sc", "summary.dcm",
           "the picture of the answer as a DICOM Secondary Capture", "picture",
           "dicom.capture.write", unasked=False, of_dicom=True, shows=True),
    Output("thumbnail", "thumbnail.jpg",
           "the slice with most lesion, or the radiograph, small", "",
           "thumbnail.write", drawn=True),
    Output("html", "report.html",
           "one page with picture, figures and notes", "", "page.write", shows=True),
    Output("json", "run.json",  # the last, so that it knows how long the others took
           "everything needed to repeat the run", "", "record.write", shows=True),
)  # fmt: skip

GROUPS = MappingProxyType(  # names that stand for several formats
    {"dicom": tuple(output.name for output in OUTPUTS.values() if output.of_dicom)}
)


def expanded(formats: Collection[str], possible: Collection[str]) -> list[str]:
    """Names of formats with those of `GROUPS` opened, each once, in the order given.

    Args:
        formats: names of `OUTPUTS` and of `GROUPS`.
        possible: of a group these are taken.

    Example:
        >>> expanded(["nii", "dicom"], ["nii", "dicom-sr"])
        ['nii', 'dicom-sr']
    """
    opened = (
        [x for x in GROUPS[name] if x in possible] if name in GROUPS else [name]
        for name in formats
    )  # fmt: skip
    return list(dict.fromkeys(name for names in opened for name in names))


def chosen(answer: "Answer", formats: Collection[str] | None = None) -> list[Output]:
    """The files of one answer that are to be written, in the order of writing.

    Args:
        answer: that must have what they need.
        formats: names; None takes all that are written unasked.

    Raises:
        ValueError: an unknown name.
    """
    single = {name: output for name, output in OUTPUTS.items() if not output.together}
    if unknown := sorted(set(formats or ()) - set(OUTPUTS)):
        raise ValueError(f"unknown formats {unknown}; give some of {', '.join(single)}")
    return [
        output
        for name, output in single.items()
        if output.fits(answer) and (output.unasked if formats is None else name in formats)
    ]
