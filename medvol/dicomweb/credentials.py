# SPDX-License-Identifier: Apache-2.0
"""Who medvol is to an archive: by environment variables or a file, never by the command line.

A file is JSON: the origin of an archive, such as "https://archive.example:8043", to what is sent to
it, so that no archive gets what is for another one.
"""

import json
import os
import stat
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..failures import path_error
from .address import Address

START = "MEDVOL_DICOMWEB_"
USER, PASSWORD, TOKEN, CA, PLAIN, FILE = (
    START + word for word in ("USER", "PASSWORD", "TOKEN", "CA", "PLAIN_HTTP", "FILE")
)
WAYS = (
    f"Set {USER} and {PASSWORD}, or {TOKEN}, or name a file of credentials in {FILE}; see the page "
    "on archives."
)
OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class Credentials:
    """What an archive wants to know; nothing of it is shown.

    Args:
        user, password: for HTTP's basic authentication.
        token: for a bearer's.
        ca: file of certificates, PEM, that vouch for the archive; "" for the usual ones.
        plain_http: they may be sent unencrypted.

    Raises:
        ValueError: a password without a user, or a token beside a user.
    """

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    ca: str = ""
    plain_http: bool = False

    def __post_init__(self) -> None:
        if bool(self.user) != bool(self.password):
            raise ValueError("of user and password one is missing")
        if self.user and self.token:
            raise ValueError("there are both a user and a token; give one of them")
        if not (self.token + self.user + self.password).isprintable() or ":" in self.user:
            raise ValueError("user, password or token hold what cannot be sent")

    @property
    def header(self) -> str:
        """Value of HTTP's header Authorization; empty for nobody."""
        if self.token:
            return f"Bearer {self.token}"
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {b64encode(pair).decode()}" if self.user else ""


def credentials_for(address: Address, given: Mapping[str, str] | None = None) -> Credentials:
    """The credentials for an archive: those of the file that names it, else of the environment.

    Args:
        address: of the archive, or in it.
        given: environment variables; None takes those of this process.

    Raises:
        InputError: E_ARCHIVE, they contradict each other, or would be sent unencrypted; the file
            may be read by others, or does not say what is needed. E_PATH, there is no such file.
    """
    given = os.environ if given is None else given
    known: dict[str, Any] = {}
    if file := given.get(FILE):
        known = _of_file(Path(file).expanduser(), address)
    if not known:
        names = {"user": USER, "password": PASSWORD, "token": TOKEN, "ca": CA}
        known = {name: given.get(variable, "").strip() for name, variable in names.items()}
        known["plain_http"] = given.get(PLAIN, "") == "1"
    known = {"ca": given.get(CA, ""), **known}
    try:
        found = Credentials(**known)
    except (TypeError, ValueError) as error:
        reason = f"its credentials cannot be used: {error}."
        raise InputError("E_ARCHIVE", str(address), reason, WAYS) from error
    if found.header and not address.is_private and not found.plain_http:
        raise InputError(
            "E_ARCHIVE", str(address),
            "credentials would be sent unencrypted, and others could read them.",
            f"Use dicomweb+https; or, in a network that you trust, set {PLAIN}=1.",
        )  # fmt: skip
    if found.ca and not Path(found.ca).is_file():
        reason = "there is no such file of certificates."
        raise InputError("E_PATH", found.ca, reason, f"Correct {CA}, or ca in {FILE}.")
    return found


def _of_file(path: Path, address: Address) -> dict[str, Any]:
    """What a file says of an archive; nothing where it does not name it."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise path_error(path, error) from error
    except ValueError:
        text, mode = "", path.stat().st_mode
    if os.name == "posix" and mode & OTHERS_MAY:
        reason = f"others may read these credentials (mode {stat.S_IMODE(mode):o})."
        raise InputError("E_ARCHIVE", path, reason, "Run: chmod 600 with this file.")
    allowed = {entry.name: entry.type for entry in fields(Credentials)}
    try:
        content = json.loads(text)
        known = {str(key).rstrip("/").lower(): dict(entry) for key, entry in content.items()}
        entry = known.get(address.origin, {})
        if unknown := sorted(set(entry).difference(allowed)):
            raise ValueError(f"unknown {unknown[0]!r}")
        if not all(type(value) is allowed[name] for name, value in entry.items()):
            raise ValueError("a value is of another kind")
    except (ValueError, TypeError, AttributeError) as error:  # its text is not shown
        words = str(error) if "unknown" in str(error) else "it is not JSON of that form"
        reason = f"it is not a file of credentials ({words})."
        remedy = 'It looks like {"https://HOST": {"user": "...", "password": "..."}}.'
        raise InputError("E_ARCHIVE", path, reason, remedy) from None
    return entry
