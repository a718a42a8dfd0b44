# SPDX-License-Identifier: Apache-2.0
"""Every code of a refusal or a note: when it is given, and what the user can do.

`docs/errors.md` is made of these tables by `python scripts/write_codes.py`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Code(NamedTuple):
    """When a code is given, and what the user can do: Markdown, a sentence or more each."""

    reason: str
    remedy: str


ERROR_CODES: Mapping[str, Code] = MappingProxyType(
    {
        "E_PATH": Code(
            "There is no such file, it may not be opened, or a name leads out of its folder. Or a "
            "path given to `monai.bundle run` arrived as something else.",
            "Check the spelling and the permissions. Keep header and data files together.",
        ),
        "E_EMPTY": Code(
            "The file has zero bytes, or the folder holds no image.",
            "Copy or download it again, or name the folder that holds the images.",
        ),
        "E_FORMAT": Code(
            "The content is not what the name says and cannot be read: a picture or a web page "
            "named `.nii.gz`, an unknown data type.",
            "Export the image as NIfTI, NRRD, MetaImage or DICOM; a radiograph as PNG, JPEG, "
            "TIFF or DICOM.",
        ),
        "E_TRUNCATED": Code(
            "The file ends before its data does. A download or copy was cut.",
            "Copy or download it again.",
        ),
        "E_CORRUPT": Code(
            "A checksum is wrong, or the header contradicts the data; or a file of a training is "
            "cut or damaged.",
            "Copy or download it again, or export it again. For a training, follow the line.",
        ),
        "E_TOO_BIG": Code(
            "The header claims more bytes of voxels than the limit, an archive inflates to too "
            "much, or reading, predicting or writing needs more memory than there is: in the "
            "machine, in the container or under `ulimit -v`. Before it is refused, windows go "
            "through the network one at a time; when a GPU's memory ends, then they are stitched "
            "on the CPU, then the volume stays there too, then all is done on the CPU.",
            "Close other programs, give `--batch-size 1` for radiographs, crop the image or reduce "
            "its resolution, unpack the archive yourself, take a bundle that works slice by slice, "
            "such as `covid_ct_lesion_25d`, or use a machine with more memory.",
        ),
        "E_DIMS": Code(
            "It is one slice, several frames or channels, an axis has no voxels, or slice "
            "pictures differ in size. A radiograph has several frames or pages.",
            "Give one whole volume of two or more slices; of radiographs, one picture a file.",
        ),
        "E_VALUES": Code(
            "The values are not an image: colour, complex numbers, infinite, one value "
            "everywhere, more than 1 % NaN, CT without a known rescaling or with a slice whose "
            "values contradict its neighbours; a picture that is transparent; a radiograph "
            "that is strongly coloured, whose fractions go beyond 0 to 1, or whose header calls "
            "bones white and black; or labels that a mask cannot hold. With `--strict`: the image "
            "would be used with a note.",
            "Export it again with one true grey value per voxel.",
        ),
        "E_MODALITY": Code(
            "A CT in HU is expected, and the values look like something else: grey 0 to 255, 0 "
            "to 1, HU + 1024, HU of another scale, noise, MR. Or a radiograph is expected, and "
            "the DICOM file is a CT, an MR or a detector's raw image. Or slices of MR are, and a "
            "picture is white at its edges. The line says what was seen.",
            "Export the CT in HU. The line says how to convert, if that is possible. For "
            "radiographs, give CR or DX for presentation.",
        ),
        "E_GEOMETRY": Code(
            "The place or orientation in the patient is not sure: sform, qform and voxel sizes "
            "disagree, the affine is singular, positions or spacings are missing; the volume is "
            "smaller or larger than a body can be; or a mask does not lie on the grid of its CT.",
            "Convert it again from the original DICOM files.",
        ),
        "E_SERIES": Code(
            "DICOM slices do not form one regular volume: a slice is missing, doubled, or of "
            "another size, gaps are uneven, there are several series, or several scans in one. "
            "The line says where, what differs, or lists the series. Or it is not clear which MR "
            "sequence, slice or patient a file is of.",
            "Choose one with `--series` (number, description or UID; `medvol inspect FOLDER` lists "
            "them), take `--all-series`, or export the series again. For MR see "
            "[names](brain_mri.md#what-goes-in).",
        ),
        "E_DECODER": Code(
            "The data are compressed with a method that no installed package reads.",
            "Install the package that the line names, or export without compression.",
        ),
        "E_LABELS": Code(
            "Labels or classes of data, weights and bundle do not correspond by name, a table has "
            "words that are not known, or a set of masks has no foreground. The line names them.",
            "Say what corresponds, with [`--map`](evaluation.md#labels-go-by-their-names) or "
            "`--finding` where the command has it, or rename in the datalist.",
        ),
        "E_OUTPUT": Code(
            "The output is a file, or is, contains or lies in an input; or writing would replace a "
            "file that medvol did not write, or that was changed since.",
            "Choose another output folder, or move the file that the line names.",
        ),
        "E_NOT_DICOM": Code(
            "DICOM results were asked for, and the image does not say whose they would be: it is "
            "NIfTI or another format without patient and study, or its DICOM headers lack a UID or "
            "hold one that is none, such as a UUID.",
            "Give the DICOM files as the archive has them, or leave the DICOM formats out; see "
            "[DICOM](dicom.md#what-goes-in).",
        ),
        "E_CHANGED": Code(
            "An input changed or vanished while it was used; or the settings of a training that "
            "goes on differ from those it began with.",
            "Copy the input to a place where nothing else writes, and run again. For a "
            "training, follow the line.",
        ),
        "E_FAILED": Code(
            "Something else failed in this case: the system reported an error, or the process "
            "that worked on the case died or took too long.",
            "Follow the line. The other cases are done; run the same command again for this one.",
        ),
        "E_NOSPACE": Code(
            "The output cannot be written, or reads back differently.",
            "Free some space, or choose another output folder.",
        ),
        "E_ARCHIVE": Code(
            "A DICOM archive cannot be asked: its address or the credentials for it cannot be "
            "used, it does not answer, refuses, has no such study or series, answers with what was "
            "not asked for, or did not store what was sent. The line says which.",
            "Follow the line; see [archives](archive.md). Files that could not be stored are kept, "
            "and the same command stores them.",
        ),
        "E_TOKEN": Code(
            "A server asks for its token, and none or a wrong one was shown; or too many wrong "
            "ones came from one address.",
            "Log in with the token that the server was started with; after many tries wait a "
            "minute.",
        ),
        "E_ORIGIN": Code(
            "A request to a server was sent to a name that is not its own, or by a page of another "
            "origin.",
            "Use the address that the server printed. Who runs it can allow other names and "
            "origins.",
        ),
        "E_BUSY": Code(
            "As many jobs wait for `medvol serve` as it takes.",
            "Try again later, or ask who runs the server.",
        ),
        "E_REQUEST": Code(
            "A client of `medvol serve` asks for what makes no sense: an unknown method, an "
            "address or headers that are too long or not allowed, an option that there is not, a "
            "value or a body that the route does not take.",
            "Follow the line; the server's page `/docs` says what it takes.",
        ),
        "E_UNTRUSTED": Code(
            "A bundle carries code that nobody here has accepted, asks for what medvol never runs, "
            "was changed since it was packed, signed or accepted, or is older than one that is "
            "known. The line says which.",
            "Look at it with `medvol bundle inspect`, which runs nothing of it. Then accept what "
            "you trust; see [sharing](sharing.md).",
        ),
        "E_PLAN": Code(
            "A plan of a cohort cannot be used: it is not a table, a column, a path or a bundle is "
            "missing, a name is doubled or no folder can be called so. The line says where.",
            "Mend that line of the plan, or make it again with `medvol cohort plan`.",
        ),
        "E_BUNDLE": Code(
            "A bundle lacks or contradicts something: no such name, broken config, a field of "
            "`metadata.json` that is missing, misspelt or wrong, missing weights, weights that "
            "are not finite, of another network or of another chain. Or a setting that its configs "
            "do not take.",
            "Follow the line; [bundles](bundles.md) says what a bundle must hold.",
        ),
    }
)
# Notes on files beside the image, which are no doubt about it: `--strict` refuses none of them.
BESIDE = frozenset({"N_OTHER", "N_LOCALIZER"})
NOTE_CODES: Mapping[str, Code] = MappingProxyType(
    {
        "N_SQUEEZED": Code(
            "The file has four axes, but one frame only. It was used as 3D.",
            "Nothing.",
        ),
        "N_NAN_FILLED": Code(
            "At most 1 % of the voxels were NaN. They got the lowest value of the image.",
            "Check the export if they lie inside the body.",
        ),
        "N_UNITS": Code(
            "The file counts in metres or microns. Lengths were scaled to mm.",
            "Check that the size in mm is plausible: `medvol inspect` prints it.",
        ),
        "N_SHEAR_RESAMPLED": Code(
            "The gantry was tilted, so the grid is sheared. The network saw resampled slices; "
            "the mask is back on the sheared grid.",
            "Open `segmentation.seg.nrrd` or `scene.mrb`. ITK and 3D Slicer refuse a sheared "
            "`.nii.gz`.",
        ),
        "N_ANISO": Code(
            "Slices are 10 mm or more apart.",
            "Do not trust small findings and volumes: much lies between the slices.",
        ),
        "N_EXIF": Code(
            "A picture was turned upright as its file asks, as viewers show it. Its mask is "
            "upright too.",
            "Nothing; a program that reads pixels without looking at EXIF must turn the picture "
            "first.",
        ),
        "N_LOCALIZER": Code(
            "Overview pictures in the DICOM folder were left out.",
            "Nothing.",
        ),
        "N_FORMAT": Code(
            "Content and file name disagree. The content was used.",
            "Rename the file.",
        ),
        "N_BITS": Code(
            "A picture of 16 bits a pixel uses only 12 (or 8) of them: no value is higher. "
            "White is taken to be 4095 (or 255). Or BitsStored and HighBit of a DICOM image "
            "contradict each other, and its values fit both.",
            "Nothing, unless the picture should be very dark.",
        ),
        "N_SPACING": Code(
            "Slice pictures carry no spacing. One was assumed; the note says which.",
            "Trust pixels and shares, not ml. Give `--spacing` if you know it, or NIfTI volumes.",
        ),
        "N_SEQUENCE": Code(
            "An MR sequence is missing, or its head does not lie on that of FLAIR. It was "
            "registered to FLAIR; the note says by how many mm and degrees. Where it is missing "
            "or could not be registered, FLAIR took its place.",
            "Add the file, if the sequence was taken; look at the scene, if it was registered; "
            "see [names](brain_mri.md#what-goes-in).",
        ),
        "N_LABELS": Code(
            "A bundle made elsewhere gives a mask whose values its metadata do not name, or that "
            "lie between two labels; or regions that overlap, of which each combination became a "
            "label of its own.",
            "Read what the values mean in the bundle's own documents; see "
            "[any bundle](any_bundle.md#labels).",
        ),
        "N_RESAMPLED": Code(
            "An MR sequence lies on another grid than FLAIR. It was resampled by the position "
            "in its header.",
            "Look at the scene: where the patient moved a little between the sequences, "
            "register them first.",
        ),
        "N_SIZE": Code(
            "The volume is less than 50 mm wide or more than 2.5 m long, or it lies more than "
            "10 m from the origin.",
            "Check spacing and size with `medvol inspect`; a wrong spacing makes every ml wrong.",
        ),
        "N_SHIFT": Code(
            "Gas and soft tissue of a CT lie elsewhere than in other CTs, such as 150 HU too high.",
            "Check the calibration or the export before you trust the mask.",
        ),
        "N_COVERAGE": Code(
            "The image shows only a part of the organ that the bundle is for: too few slices, too "
            "short a stack, an organ that goes on beyond its first or last slice, or none at all.",
            "Give the whole series. What is marked, and what is not, is about the part shown only.",
        ),
        "N_GRID": Code(
            "Spacing or orientation of the slices lie outside what the bundle was made for; the "
            "note says which, and what it was made for.",
            "Give the series of the study that fits, such as the thin axial one, or trust the mask "
            "less.",
        ),
        "N_UNDECIDED": Code(
            "Many of the voxels that the network marks have a score near the middle, neither for "
            "nor against; the note says how many.",
            "Look at the mask slice by slice before you use its volume.",
        ),
        "N_OUTSIDE": Code(
            "The network marked lesion where no lung is, such as in bowel or in front of the neck. "
            "It was left out; the note says how much, in ml.",
            "Nothing, unless the lungs in the mask are not whole: then look at the scene.",
        ),
        "N_PADDING": Code(
            "The header names a padding value that lies in the body. It was not applied: voxels "
            "and pixels with this value are as they were stored.",
            "Nothing; export the series again if the header is to be right.",
        ),
        "N_KIND": Code(
            "The picture is unlike those that the bundle was trained on: it is turned, another "
            "view, another part of the body, a slice of CT or MR, or a photograph. A class was "
            "predicted all the same.",
            "Look at the picture. Turn it upright, or do not use the answer. With `--strict` it is "
            "refused.",
        ),
        "N_WEIGHTS": Code(
            "Neither `models/model.pt` nor `metadata.json` says what these weights were trained "
            "for, so nothing shows whether the bundle's labels are theirs.",
            "Take the bundle's own weights. If these are right, `medvol bundle record BUNDLE` says "
            "so.",
        ),
        "N_OTHER": Code(
            "The folder holds files beside the images that are read. They were passed by, and are "
            "counted by kind.",
            "Nothing, unless one of them is an image or belongs to one: then convert or rename it.",
        ),
    }
)
# of notes that say that an answer may mislead: they stand above it
TRUST = (
    "N_KIND", "N_WEIGHTS", "N_COVERAGE", "N_GRID", "N_SHIFT", "N_SEQUENCE", "N_UNDECIDED",
    "N_LABELS",
)  # fmt: skip
