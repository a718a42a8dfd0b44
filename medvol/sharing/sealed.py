# SPDX-License-Identifier: Apache-2.0
"""What a packed bundle says of itself, and who stands for it: its manifest and its signature."""

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import InputError
from ..manifest import MANIFEST, SIGNATURE, Manifest, manifest_of, parse_manifest
from .keys import fingerprint, parse_public_key, public_key
from .trust import known_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FORMAT = 1  # of a signature
ALGORITHM = "Ed25519"  # RFC 8032
MOST_BYTES = 4096  # of a signature: it has 300
ALTERED = "Do not use it; ask who gave it to you for the file again."


class Signer(NamedTuple):
    """Whose key signed a bundle.

    Args:
        public_key: as `keys.public_key` gives it.
        name: that the user gave to the key; None for one that was never added.
        revoked: when it was revoked; None where it was not.
    """

    public_key: str
    name: str | None
    revoked: str | None

    @property
    def fingerprint(self) -> str:
        """Of the key."""
        return fingerprint(self.public_key)

    @property
    def trusted(self) -> bool:
        """It was added, and was not revoked."""
        return self.name is not None and self.revoked is None

    def __str__(self) -> str:
        name = "a key that is not trusted here" if self.name is None else self.name
        return f"{name} ({self.fingerprint}{', revoked' if self.revoked else ''})"


class Sealed(NamedTuple):
    """What was read and found to be true in a packed bundle.

    Args:
        manifest: every file is as it says, and there is no other.
        signer: whose signature of the manifest is right; None where nobody signed.
    """

    manifest: Manifest
    signer: Signer | None


def read_sealed(folder: Path) -> Sealed | None:
    """Manifest and signature of a packed bundle, where every file is as they say.

    Args:
        folder: its root, whose name is the bundle's. All files in it are read.

    Returns:
        None for a folder without a manifest, such as one of the model zoo.

    Raises:
        InputError: E_UNTRUSTED, a file was changed, added or taken away, or the signature is not
            of this manifest; E_BUNDLE, manifest, signature or metadata cannot be read.
    """
    path, signature = folder / MANIFEST, folder / SIGNATURE
    if not path.is_file():
        if signature.exists():
            raise InputError("E_UNTRUSTED", signature, "it signs no manifest.", ALTERED)
        return None
    here = manifest_of(folder)
    content = path.read_bytes()
    manifest = parse_manifest(content, path=path)
    if manifest.digest != here.digest:
        said = f"{manifest.name} {manifest.version}"
        names = f"it is of {said}, and this is {here.name} {here.version}."
        differences = manifest.differences(folder) or [names]
        more = f" And {len(differences) - 1} more." if len(differences) > 1 else ""
        raise InputError("E_UNTRUSTED", folder, f"{differences[0]}{more}", ALTERED)
    if content != manifest.canonical:
        reason = "it is not written as a manifest is."
        raise InputError("E_UNTRUSTED", path, reason, ALTERED)
    signer = None
    if signature.is_file():
        if signature.stat().st_size > MOST_BYTES:
            raise InputError("E_BUNDLE", signature, "it is too large for a signature.", ALTERED)
        signer = signer_of(manifest, signature.read_bytes(), path=signature)
    return Sealed(manifest, signer)


def signed(manifest: Manifest, key: "Ed25519PrivateKey") -> bytes:
    """The content of `manifest.sig`: a signature of the canonical manifest, with the public key.

    Args:
        manifest: of the bundle.
        key: as `keys.read_key` gives it.
    """
    said = {
        "algorithm": ALGORITHM, "format": FORMAT, "public_key": public_key(key),
        "signature": base64.b64encode(key.sign(manifest.canonical)).decode("ascii"),
    }  # fmt: skip
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode("ascii")


def signer_of(manifest: Manifest, signature: bytes, *, path: Path) -> Signer:
    """Whose signature of a manifest it is.

    Args:
        manifest: that is signed.
        signature: content of `manifest.sig`.
        path: of that file, for what is refused.

    Raises:
        InputError: E_BUNDLE, it is not a signature; E_UNTRUSTED, it is one of something else;
            E_CORRUPT, the list of trusted keys is damaged.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    try:
        public, content = _parts(signature)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, InputError) as error:
        raise InputError("E_BUNDLE", path, "it is not a signature of medvol.", ALTERED) from error
    try:
        key = load_ssh_public_key(public.encode("ascii"))
        key.verify(content, manifest.canonical)  # type: ignore[call-arg]
    except InvalidSignature as error:
        reason = "the signature is not of this bundle: it was changed after somebody signed it."
        raise InputError("E_UNTRUSTED", path, reason, ALTERED) from error
    known = known_key(public)
    return Signer(public, known.name if known else None, known.revoked if known else None)


def _parts(signature: bytes) -> tuple[str, bytes]:
    """The public key and the signature itself in the content of `manifest.sig`."""
    said = json.loads(signature)
    if (said["format"], said["algorithm"]) != (FORMAT, ALGORITHM):
        raise ValueError("its format or algorithm is not known")
    return (
        parse_public_key(said["public_key"], path=SIGNATURE),
        base64.b64decode(said["signature"], validate=True),
    )
