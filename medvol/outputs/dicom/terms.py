# SPDX-License-Identifier: Apache-2.0
"""Coded terms of segments, figures and classes, as highdicom takes them."""

import hashlib
from types import MappingProxyType

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept

from ...labels import Code, Label, Terminology, name_key
from .identity import PREFIX, SPACE

OWN_SCHEME = "99MEDVOL"  # for what no public scheme has a code; 99 is for such
LONGEST_MEANING, LONGEST_VALUE = 64, 16
TISSUE = Code("SCT", "85756007", "Tissue")  # what 3D Slicer says of a segment of unknown kind
LESION = Code("SCT", "52988006", "Lesion")
VOLUME = Code("SCT", "118565006", "Volume")
MEAN = Code("SCT", "373098007", "Mean")
ATTENUATION = Code("DCM", "112031", "Attenuation Coefficient")
INTENSITY = Code("DCM", "110852", "MR signal intensity")
PROBABILITY = Code("DCM", "122157", "Probability")
NUMBER_OF_LESIONS = Code("SCT", "246206008", "Number of lesions")
ARTIFICIAL_INTELLIGENCE = Code("DCM", "123110", "Artificial Intelligence")
PRESENT = Code("SCT", "52101004", "Present")
ABSENT = Code("SCT", "272519000", "Absent")
COMMENT = Code("DCM", "121106", "Comment")
ML = Code("UCUM", "ml", "milliliter")
MM = Code("UCUM", "mm", "millimeter")
HU = Code("UCUM", "[hnsf'U]", "Hounsfield unit")
NO_UNIT = Code("UCUM", "1", "no units")
PERCENT = Code("UCUM", "%", "percent")
PROCEDURES = MappingProxyType(  # of CID 100, by the modality of the image
    {
        "CT": Code("LN", "25045-6", "CT unspecified body region"),
        "MR": Code("LN", "25056-3", "MRI unspecified body region"),
    }
)
RADIOGRAPHY = Code("LN", "43468-8", "XR unspecified body region")
# of classes of radiographs, by `labels.name_key`
CLASSES = MappingProxyType(
    {
        "normal": Code("SCT", "17621005", "Normal"),
        "pneumonia": Code("SCT", "233604007", "Pneumonia"),
        "bacterialpneumonia": Code("SCT", "53084003", "Bacterial pneumonia"),
        "bacteria": Code("SCT", "53084003", "Bacterial pneumonia"),
        "viralpneumonia": Code("SCT", "75570004", "Viral pneumonia"),
        "virus": Code("SCT", "75570004", "Viral pneumonia"),
        "covid19": Code("SCT", "840539006", "COVID-19"),
        "covid": Code("SCT", "840539006", "COVID-19"),
    }
)


def concept(code: Code) -> CodedConcept:
    """A code as highdicom takes it; a meaning that is too long is cut."""
    return CodedConcept(code.value, code.scheme, code.meaning[:LONGEST_MEANING])


def own(value: str, meaning: str) -> Code:
    """A code of medvol's own, for what no public scheme has.

    Args:
        value: up to 16 letters.
        meaning: in words.
    """
    return Code(OWN_SCHEME, value, meaning)


def terms_of(label: Label) -> Terminology:
    """What a label is: by its table, or else some tissue."""
    return label.terminology or Terminology(TISSUE, TISSUE)


def class_code(name: str) -> Code:
    """What a class of a radiograph is: by its name, or else a code of medvol's own.

    Example:
        >>> class_code("Viral Pneumonia").meaning, class_code("stripes").scheme
        ('Viral pneumonia', '99MEDVOL')
    """
    key = name_key(name)
    return CLASSES.get(key) or own(_short(key), name)


def _short(key: str) -> str:
    """A code's value, of at most 16 letters, for a name of any length and alphabet."""
    if key.isascii() and len(key) <= LONGEST_VALUE:
        return key
    return hashlib.sha256(key.encode()).hexdigest()[:LONGEST_VALUE]


def own_scheme() -> CodingSchemeIdentificationItem:
    """What `OWN_SCHEME` is, for a file that has codes of it."""
    return CodingSchemeIdentificationItem(
        designator=OWN_SCHEME, name="medvol", uid=PREFIX + str(SPACE.int)
    )


def text_of(text: str, most: int = 64) -> str:
    """Text for one value of a DICOM element: no backslash, which parts values, and not too long.

    Example:
        >>> text_of("lung\\\\left"), text_of("abcdef", 4)
        ('lung/left', 'abcd')
    """
    plain = "".join(c if c.isprintable() else " " for c in text.replace("\\", "/"))
    return plain[:most].strip()
