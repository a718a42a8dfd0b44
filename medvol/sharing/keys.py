# SPDX-License-Identifier: Apache-2.0
"""Keys with which bundles are signed: Ed25519, made here, kept in a file of the user's own."""

import base64
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..failures import path_error, write_error

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KIND = "ssh-ed25519"  # begins a public key as OpenSSH writes it
PUBLIC_SUFFIX = ".pub"
PASSPHRASE_VARIABLE = "MEDVOL_PASSPHRASE"  # in place of a question
MOST_BYTES = 1 << 16  # of a file with a key: such files have 100 to 500
FINGERPRINT_BYTES = 15  # 120 bits: 24 letters, too many keys to try for another one with the same
_GROUP = 4  # letters of a fingerprint that are read aloud at once
_OWN = "Make one with `medvol bundle keygen -o KEYFILE`."
_PUBLIC = "Give the line that `keygen` printed, or the file KEYFILE.pub that it made."


def make_key(path: Path, *, passphrase: str | None = None) -> str:
    """Make a key, and write it into a file that only this user may read; nothing is replaced.

    The public key is written beside it, with the suffix .pub.

    Args:
        path: of the new file, in PEM (PKCS 8).
        passphrase: that the file is encrypted with; None leaves it in the clear.

    Returns:
        The public key, a line as OpenSSH writes it.

    Raises:
        InputError: E_OUTPUT, one of the files is there already; E_NOSPACE, it cannot be written.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public_path = public_file(path)
    for there in (path, public_path):
        if os.path.lexists(there):
            reason = "it is there already; a key is never replaced."
            raise InputError("E_OUTPUT", there, reason, "Choose another name.")
    key = Ed25519PrivateKey.generate()
    cipher = (
        serialization.BestAvailableEncryption(passphrase.encode())
        if passphrase
        else serialization.NoEncryption()
    )
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher
    )
    public = public_key(key)
    _write_new(path, content, 0o600)
    try:
        _write_new(public_path, f"{public}\n".encode(), 0o644)
    except InputError:
        path.unlink()
        raise
    return public


def public_file(path: Path) -> Path:
    """Where the public key of a file with a key lies.

    Example:
        >>> public_file(Path("lab_a.key")).name, public_file(Path("lab_a")).name
        ('lab_a.pub', 'lab_a.pub')
    """
    return path.with_suffix(PUBLIC_SUFFIX)


def read_key(path: Path, *, ask: Callable[[], str | None]) -> "Ed25519PrivateKey":
    """The key in a file, of medvol or of OpenSSH.

    Args:
        path: of the file.
        ask: for the passphrase, where the file needs one; None means that nobody answers.

    Raises:
        InputError: E_PATH, it cannot be opened; E_FORMAT, it is not an Ed25519 key; E_UNTRUSTED,
            the passphrase is missing or wrong.
    """
    content = _content(path)
    key = _private(content, None, path)
    if key is None:
        passphrase = ask()
        key = _private(content, passphrase.encode(), path) if passphrase else None
    if key is None:
        remedy = f"Type it when asked, or set {PASSPHRASE_VARIABLE}."
        raise InputError("E_UNTRUSTED", path, "its passphrase is missing or wrong.", remedy)
    return key


def public_key(key: "Ed25519PrivateKey") -> str:
    """The public key of a key: a line as OpenSSH writes it, without a comment."""
    from cryptography.hazmat.primitives import serialization

    openssh = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return key.public_key().public_bytes(*openssh).decode("ascii")


def parse_public_key(text: str, *, path: str | os.PathLike[str]) -> str:
    """A public key in the one form in which it is compared: as `public_key` gives it.

    Args:
        text: as OpenSSH writes it, perhaps with a comment; or PEM.
        path: where it stands, for what is refused.

    Raises:
        InputError: E_FORMAT, it is not an Ed25519 key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    content = text.strip().encode("utf-8", "surrogateescape")
    pem = content.startswith(b"-----BEGIN")
    load = serialization.load_pem_public_key if pem else serialization.load_ssh_public_key
    try:
        key = load(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        reason = "it is not a public key."
        if b"PRIVATE KEY" in content:
            reason = "it is a private key, which nobody else should see."
        raise InputError("E_FORMAT", path, reason, _PUBLIC) from error
    if not isinstance(key, Ed25519PublicKey):
        raise InputError("E_FORMAT", path, "it is a key of another kind than Ed25519.", _PUBLIC)
    openssh = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return key.public_bytes(*openssh).decode("ascii")


def given_public_key(text: str) -> str:
    """A public key that a user gives: the line itself, or the file that holds it.

    Raises:
        InputError: E_PATH, there is no such file; E_FORMAT, it is not an Ed25519 key.
    """
    if text.strip().startswith(KIND):
        return parse_public_key(text, path=KIND)
    path = Path(text)
    return parse_public_key(_content(path).decode("utf-8", "surrogateescape"), path=path)


def fingerprint(public: str) -> str:
    """What two people compare on the telephone: six groups of four letters and digits.

    SHA-256 of the 32 bytes of the key, its first 120 bits in Base32 (RFC 4648), which has neither 0
    and 1 nor 8 and 9.

    Args:
        public: as `public_key` gives it.

    Example:
        >>> fingerprint("ssh-ed25519 " + base64.b64encode(bytes(51)).decode())
        'MZUH-VLPY-MK6X-O3EP-YGFY-5H4O'
    """
    raw = base64.b64decode(public.split()[1])[-32:]
    letters = base64.b32encode(hashlib.sha256(raw).digest()[:FINGERPRINT_BYTES]).decode()
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))


def _private(content: bytes, passphrase: bytes | None, path: Path) -> "Ed25519PrivateKey | None":
    """The key in a file; None where it needs a passphrase, or another one."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    openssh = b"OPENSSH PRIVATE KEY" in content
    load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    try:
        key = load(content, passphrase)
    except TypeError:  # a passphrase is missing
        return None
    except (ValueError, UnsupportedAlgorithm) as error:
        if passphrase is not None or b"ENCRYPTED" in content:
            return None
        raise InputError("E_FORMAT", path, "it is not a private key.", _OWN) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError("E_FORMAT", path, "it is a key of another kind than Ed25519.", _OWN)
    return key


def _content(path: Path) -> bytes:
    try:
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            raise InputError("E_PATH", path, "it is not a file.", "Name the file of a key.")
        with path.open("rb") as file:
            return file.read(MOST_BYTES)
    except (OSError, ValueError) as error:
        raise path_error(path, error) from error


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that is not there yet, with these rights from its first byte on."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
        except OSError:
            path.unlink()
            raise
    except OSError as error:
        raise write_error(path, error) from error
