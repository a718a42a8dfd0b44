# SPDX-License-Identifier: Apache-2.0
"""Whose signatures are trusted here: public keys with names, some of them revoked."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..bundle.known import Known, accepted, now
from ..bundle.permission import forget
from ..bundle.places import home_folder, read_list
from ..bundle.store import Installed, read_store, withdraw
from ..errors import InputError
from ..files import locked, write_json
from .keys import fingerprint, given_public_key, parse_public_key

LIST = "keys.json"
NAME = re.compile(r"\w[\w .@+-]{0,59}")  # of a lab or a person
DIGITS = re.compile(r"[0-9a-f]{12,64}")  # of a digest, the first or all
_FORMAT = 1  # of that file
_MEND = "Move this file away, and add the keys again."


@dataclass(frozen=True)
class Trusted:
    """A key with the name that the user gave it.

    Args:
        name: such as "lab_a".
        public_key: as `keys.public_key` gives it.
        added: when, in UTC, as ISO 8601 has it.
        revoked: when it was; None for one that is trusted.
    """

    name: str
    public_key: str
    added: str
    revoked: str | None = None

    @property
    def fingerprint(self) -> str:
        """Of the key, see `keys.fingerprint`."""
        return fingerprint(self.public_key)

    def to_json(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {**asdict(self), "fingerprint": self.fingerprint}


def trusted_keys() -> list[Trusted]:
    """Every key that was ever added, in this order, the revoked too.

    Raises:
        InputError: E_CORRUPT, the list is damaged.
    """
    return read_list(LIST, _parsed, what="trusted keys", remedy=_MEND) or []


def known_key(public: str) -> Trusted | None:
    """What is known of a public key; None where it was never added.

    Args:
        public: as `keys.public_key` gives it.

    Raises:
        InputError: E_CORRUPT, the list is damaged.
    """
    return next((key for key in trusted_keys() if key.public_key == public), None)


def trust(name: str, public: str, *, again: bool = False) -> Trusted:
    """Trust a key from now on.

    Args:
        name: by which the user knows its owner.
        public: the key as a line, or the file that holds it.
        again: also where it was revoked.

    Raises:
        InputError: E_FORMAT, E_PATH, it is not an Ed25519 key; E_UNTRUSTED, the name or the key is
            taken, or it was revoked and `again` was not given; E_CORRUPT, the list is damaged.
    """
    if not NAME.fullmatch(name):
        reason = "it is not a name: letters, digits, blanks and any of . _ @ + - are."
        raise InputError("E_UNTRUSTED", name, reason, "Choose another name, such as lab_a.")
    new = Trusted(name, given_public_key(public), now())
    with _changing() as known:
        for key in known:
            same, taken = key.public_key == new.public_key, key.name == name and not key.revoked
            if same and key.revoked and not again:
                reason = f"this key was revoked on {key.revoked[:10]}, as {key.name!r}."
                remedy = "Ask its owner for a new key; or give --again, if that was a mistake."
                raise InputError("E_UNTRUSTED", name, reason, remedy)
            if (same and not key.revoked) or taken:
                reason = f"{key.name!r} is trusted already, with the key {key.fingerprint}."
                remedy = f"Revoke it first: medvol bundle trust revoke '{key.name}'."
                raise InputError("E_UNTRUSTED", name, reason, remedy)
        known[:] = [*(key for key in known if key.public_key != new.public_key), new]
    return new


def revoke(name: str) -> tuple[Trusted, list[Installed]]:
    """Trust a key no more; it stays in the list, so that nothing that it signed is received again.

    Args:
        name: of the key, or its fingerprint.

    Returns:
        The key; and the bundles that were received with it, which no longer run.

    Raises:
        InputError: E_UNTRUSTED, there is no such key that is trusted; E_CORRUPT, a list is
            damaged.
    """
    with _changing() as known:
        found = [x for x in known if not x.revoked and name in (x.name, x.fingerprint)]
        if not found:
            names = ", ".join(key.name for key in known if not key.revoked) or "none"
            raise InputError(
                "E_UNTRUSTED", name, "there is no such key that is trusted.", f"There are: {names}."
            )
        revoked = replace(found[0], revoked=now())
        known[known.index(found[0])] = revoked
        bundles = withdraw(revoked.fingerprint)
    forget(bundle.digest for bundle in bundles if not bundle.accepted)
    return revoked, bundles


def take_back(digest: str) -> tuple[str, Known]:
    """Accept a bundle no more: before it runs again it is looked at, and needs a word, anew.

    Args:
        digest: of the bundle, or its first digits, 12 at least.

    Returns:
        The whole digest, and what was known of it.

    Raises:
        InputError: E_UNTRUSTED, no such bundle was accepted, or it was received and is there;
            E_NOSPACE, the list cannot be written.
    """
    digest = digest.strip().lower()
    for bundle in read_store().bundles if DIGITS.fullmatch(digest) else ():
        if bundle.digest.startswith(digest):
            reason = f"{bundle.title} was received, and runs as long as it is there."
            remedy = f"Take it away with `medvol bundle remove {bundle.title}`."
            raise InputError("E_UNTRUSTED", digest, reason, remedy)
    rows = accepted()
    found = [x for x in rows if DIGITS.fullmatch(digest) and x.startswith(digest)]
    if len(found) != 1:
        raise InputError(
            "E_UNTRUSTED", digest, "no one bundle of this digest was accepted here.",
            "See `medvol bundle trust list --bundles`; give 12 digits at least.",
        )  # fmt: skip
    forget(found)
    return found[0], rows[found[0]]


@contextmanager
def _changing() -> Iterator[list[Trusted]]:
    """Hold the list for this process alone, and write it after the block."""
    path = home_folder() / LIST
    with locked(path):
        known = trusted_keys()
        yield known
        write_json(path, {"format": _FORMAT, "keys": [asdict(key) for key in known]})


def _parsed(said: Mapping[str, Any]) -> list[Trusted]:
    if said["format"] != _FORMAT:
        raise ValueError(f"its format is not {_FORMAT}")
    found = [Trusted(**row) for row in said["keys"]]
    for key in found:
        if parse_public_key(key.public_key, path=LIST) != key.public_key:
            raise ValueError(f"the key of {key.name!r} is not as it was written")
    return found
