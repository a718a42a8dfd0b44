# SPDX-License-Identifier: Apache-2.0
"""Where a study lies in an archive: `dicomweb+https://HOST/dicom-web/studies/UID/series/UID`."""

import hashlib
import re
from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from ..errors import InputError

SCHEME = "dicomweb+"
FORM = "Give dicomweb+https://HOST/dicom-web/studies/UID, perhaps with /series/UID."
DIGITS = 12  # of a checksum: two of a million studies share them once in 500 archives
# some archives hold UIDs that are none by the standard; nothing in them may lead elsewhere
_UID = re.compile(r"(?!\.+$)[0-9A-Za-z._-]{1,64}")
_START = re.compile(r"(dicomweb\+)?https?:", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """An archive, or a study or series in it.

    Args:
        root: URL of the archive's DICOMweb, without a slash at its end.
        study: StudyInstanceUID.
        series: SeriesInstanceUID, of a series in that study.

    Raises:
        ValueError: a series without a study.
    """

    root: str
    study: str | None = None
    series: str | None = None

    def __post_init__(self) -> None:
        if self.series and not self.study:
            raise ValueError("an address has a series, but no study; give the study too")

    @property
    def origin(self) -> str:
        """Scheme, host and port, such as "https://archive.example:8043"."""
        parts = urlsplit(self.root)
        return f"{parts.scheme}://{parts.netloc.lower()}"

    @property
    def is_private(self) -> bool:
        """Whether nobody else reads what is sent there: encrypted, or within this machine."""
        parts = urlsplit(self.root)
        host = parts.hostname or ""
        try:
            return parts.scheme == "https" or ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def archive(self) -> "Address":
        """The archive that it lies in."""
        return Address(self.root)

    @property
    def case(self) -> str:
        """What a case of it is called: the same each time, and nothing an archive finds it by.

        Example:
            >>> Address("http://localhost/rs", "1.2.3").case
            'study_c47f5b18b8a4'
        """
        word, uid = ("series", self.series) if self.series else ("study", self.study or "")
        return f"{word}_{opaque(uid)}"

    def of(self, study: str, series: str | None = None) -> "Address":
        """The address of a study of this archive, or of a series in it."""
        return replace(self, study=study, series=series)

    def __str__(self) -> str:
        parts = [SCHEME + self.root]
        parts += ["studies", self.study] if self.study else []
        parts += ["series", self.series] if self.series else []
        return "/".join(parts)


def opaque(uid: str) -> str:
    """What stands for a UID where it should not be read: the first digits of its SHA-256."""
    return hashlib.sha256(uid.encode()).hexdigest()[:DIGITS]


def is_uid(text: str) -> bool:
    """Whether a text may stand for a UID in an address: it leads nowhere else.

    Example:
        >>> is_uid("1.2.840"), is_uid("../1.2"), is_uid("")
        (True, False, False)
    """
    return _UID.fullmatch(text) is not None


def is_address(text: str, *, plain: bool = False) -> bool:
    """Whether a word names an archive rather than a file.

    Args:
        text: as the user gave it.
        plain: http:// and https:// do too.

    Example:
        >>> is_address("dicomweb+http://host/rs"), is_address("http://host/rs"), is_address("a/b")
        (True, False, False)
    """
    start = _START.match(text)
    return start is not None and (plain or bool(start[1]))


def parse_address(text: str) -> Address:
    """The address that a text names, of an archive or of a study or series in it.

    Args:
        text: as the user gave it, with "dicomweb+" before its URL or without.

    Raises:
        InputError: E_ARCHIVE, it names nothing that can be asked; it holds a password.

    Example:
        >>> parse_address("dicomweb+https://archive.example/rs/studies/1.2/series/1.2.3")
        Address(root='https://archive.example/rs', study='1.2', series='1.2.3')
    """
    url = text[len(SCHEME) :] if text.lower().startswith(SCHEME) else text
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        port, parts = -1, urlsplit("")
    if "@" in parts.netloc:
        raise InputError(
            "E_ARCHIVE", SCHEME + url.replace(parts.netloc, parts.netloc.rpartition("@")[2], 1),
            "the address holds a name or a password, which others could read in lists of "
            "processes and in logs.",
            "Leave it out, and give credentials by the environment or by a file.",
        )  # fmt: skip
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise InputError("E_ARCHIVE", text, "it is not an address of an archive.", FORM)
    if parts.query or parts.fragment or any(c.isspace() or not c.isprintable() for c in url):
        reason = "the address holds ?, #, blanks or control codes."
        raise InputError("E_ARCHIVE", text, reason, FORM)
    path = parts.path.rstrip("/")
    before, found, inside = path.partition("/studies")
    root = f"{parts.scheme}://{parts.netloc}{before}"
    if not found or not inside:
        return Address(root)
    words = inside.split("/")[1:]
    named = len(words) in (1, 3) and words[1:2] in ([], ["series"]) and inside.startswith("/")
    uids = words[::2]
    if not named or not all(map(is_uid, uids)):
        raise InputError("E_ARCHIVE", text, "behind studies stands no study or series.", FORM)
    return Address(root, *uids)
