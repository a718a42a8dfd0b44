# SPDX-License-Identifier: Apache-2.0
"""Files without DICOM in them that lie beside slices: of a known other kind, or a damaged slice."""

from pathlib import Path

from ...errors import InputError
from ...text import counted
from ..files import COPY_AGAIN, is_web_page, truncated
from . import is_named, is_nameless

# What lies beside slices: reports, tables and notes; previews and films; volumes and masks made of
# them; archives; the viewer that a hospital's disc brings along.
_WORDS = """
txt md rst log pdf doc docx rtf odt htm html css js xml xsl xslt dtd json jsonl yaml yml toml
csv tsv xls xlsx ods ppt pptx md5 sha1 sha256
jpg jpeg jfif jp2 png gif bmp tif tiff webp ico svg avi mpg mpeg mp4 mov wmv wav mp3
nii hdr img nrrd nhdr mha mhd raw mrb mrml npy npz mat bval bvec
stl obj ply vtk vti vtp fcsv ctbl h5 tfm
zip 7z rar tar tgz bz2 xz cab iso
exe dll so ocx msi sys bat cmd com sh ps1 py jar class chm hlp inf ini cfg conf config manifest
properties lnk url desktop lic db sqlite sql dat bin pak res ttf cur
"""
KNOWN_SUFFIXES = frozenset(f".{word}" for word in _WORDS.split())
KNOWN_NAMES = frozenset(
    ("DICOMDIR", "README", "LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS", "CHANGELOG",
     "VERSION", "MD5SUMS", "SHA256SUMS")
)  # fmt: skip


def suffix_of(path: Path) -> str:
    """The last suffix of a name in small letters, that of what is packed for `.gz`; perhaps ""."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def known_kind(path: Path) -> str:
    """What a file is by its name when it is no slice: a suffix or a name; "" when that is unknown.

    Example:
        >>> known_kind(Path("report.PDF")), known_kind(Path("IM_0051")), known_kind(Path("ReadMe"))
        ('.pdf', '', 'README')
    """
    if (suffix := suffix_of(path)) in KNOWN_SUFFIXES:
        return suffix
    return path.name.upper() if path.name.upper() in KNOWN_NAMES else ""


def stray(path: Path, head: bytes, others: int) -> InputError:
    """Why a file that may be a damaged slice is refused: left out, it would shorten the volume.

    Args:
        path: the file.
        head: its first bytes, inflated.
        others: how many DICOM files lie beside it.
    """
    if (is_named(path) or is_nameless(path)) and not head:
        return InputError("E_EMPTY", path, "the file has 0 bytes.", COPY_AGAIN)
    if (is_named(path) or is_nameless(path)) and not head.strip(b"\0"):
        return truncated(path, "the file begins with nothing but 0.")
    what = "a web page" if is_web_page(head) else "not a DICOM file"
    beside = f"it lies beside {counted(others, 'DICOM file')}"
    why = "its name says DICOM" if is_named(path) else beside
    reason = f"it is {what}, though {why}; so a slice may be missing."
    remedy = "Copy or export it again, or take it out of the folder."
    return InputError("E_FORMAT", path, reason, remedy)
