# SPDX-License-Identifier: Apache-2.0
"""What a bundle is and would do, told from its files alone: nothing of it is run or imported."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..audit.audit import audit
from ..audit.verdict import Audit, Item, Level
from ..bundle.find import find_bundle, shipped_bundles
from ..bundle.places import user_folder
from ..bundle.store import received_folder
from ..errors import InputError, printable
from ..manifest import MANIFEST, SIGNATURE, Entry, manifest_of
from ..text import counted
from .archive import quarantined
from .licences import Terms, terms_of
from .sealed import read_sealed

MEANINGS = {
    Level.A: "declarative, every part is on the list of those that are known",
    Level.B: "code of its own, or calls that are not on the list; it runs once you accept it",
    Level.C: "it asks for what medvol never runs",
}
KINDS = {"target": "targets", "expression": "expressions", "reference": "references",
         "script": "scripts", "weights": "files of weights", "file": "other files"}  # fmt: skip


@dataclass(frozen=True)
class Inspected:
    """What is known of a bundle without running it.

    Args:
        origin: where it was found, in words.
        name: of the bundle.
        version: of its metadata; "unknown" where they cannot be read.
        digest: of its manifest; None where what lies in it has none.
        manifest: whether it has one and is as it says, in words.
        signature: whose, in words.
        files: path below the root to SHA-256 and size; empty where they cannot be listed.
        sound: neither manifest nor signature is broken, and its key is not revoked.
        terms: what its files say of the licences of code, weights and data.
        audit: every part with its level.
    """

    origin: str
    name: str
    version: str
    digest: str | None
    manifest: str
    signature: str
    files: Mapping[str, Entry]
    sound: bool
    terms: tuple[Terms, ...]
    audit: Audit

    @property
    def refused(self) -> bool:
        """Whether no lab should take it: level C, or not what was packed and signed."""
        return self.audit.level == Level.C or not self.sound

    def lines(self, *, every: bool = False) -> list[str]:
        """What is printed, a line each.

        Args:
            every: also each part of level A, else these are counted; and each file.
        """
        level = self.audit.level
        head = [
            ("bundle", f"{self.name} {self.version}"),
            ("from", self.origin),
            ("digest", self.digest or "none"),
            ("manifest", self.manifest),
            ("signature", self.signature),
            *(("licence", str(terms)) for terms in self.terms),
            ("level", f"{level}: {MEANINGS[level]}"),
        ]
        if not self.sound:
            head.append(("refused", "its manifest or signature is broken, or its key was revoked"))
        said = [f"{word:<10}{text}" for word, text in head]
        items = _in_order(self.audit.items)
        shown = [x for x in items if every or x.level != Level.A or x.kind == "weights"]
        said += [f"  {item}" for item in shown]
        if counts := Counter(item.kind for item in items if item not in shown):
            found = ", ".join(f"{counts[k]} {words}" for k, words in KINDS.items() if k in counts)
            said.append(f"  A {found}; --all lists them")
        if every:
            said += [f"file      {x.sha256} {x.size} {name}" for name, x in self.files.items()]
        return [printable(line) for line in said]

    def to_json(self) -> dict[str, Any]:
        """The same for programs, with every part."""
        return {
            "name": self.name, "version": self.version, "digest": self.digest,
            "origin": self.origin, "manifest": self.manifest, "signature": self.signature,
            "sound": self.sound, "licences": [terms._asdict() for terms in self.terms],
            "files": {name: entry._asdict() for name, entry in self.files.items()},
            "level": str(self.audit.level),
            "items": [item._asdict() for item in _in_order(self.audit.items)],
        }  # fmt: skip


def inspect(name: str | os.PathLike[str]) -> Inspected:
    """Look at a bundle; of a packed one in a private folder, which is gone afterwards.

    Args:
        name: packed file, folder, or name of a bundle.

    Raises:
        InputError: E_BUNDLE, there is no such bundle; as for `archive.quarantined`, the file is
            not one that is unpacked.
    """
    with _opened(name) as (folder, origin):
        return _inspected(folder, origin)


@contextmanager
def _opened(name: str | os.PathLike[str]) -> Iterator[tuple[Path, str]]:
    """The folder of a bundle, and where it was found."""
    path = Path(name)
    if path.is_dir():
        yield path.resolve(), _place(path.resolve())
    elif path.exists() or path.suffix == ".zip":
        with quarantined(path) as folder:
            size = path.stat().st_size
            yield folder, f"packed file {path} ({size / 1e6:.1f} MB)"
    else:
        folder = find_bundle(name)
        yield folder, _place(folder)


def _place(folder: Path) -> str:
    if folder.is_relative_to(received_folder().resolve()):
        return f"received bundle {folder}"
    if folder in (path.resolve() for path in shipped_bundles().values()):
        return f"bundle that came with medvol {folder}"
    own = folder.parent == user_folder().resolve()
    return f"{'bundle of your own' if own else 'folder'} {folder}"


def _inspected(folder: Path, origin: str) -> Inspected:
    """What is known of a folder; what cannot be read of it is said, and the rest is too."""
    version, digest, whole = "unknown", None, ""
    signature, sound = "none", True
    files: Mapping[str, Entry] = {}
    try:
        manifest = manifest_of(folder)
        files = manifest.files
        version, digest = manifest.version or version, manifest.digest
        whole = f"none; {counted(len(manifest.files), 'file')} lie in it"
        if (sealed := read_sealed(folder)) is not None:
            whole = f"complete; {counted(len(manifest.files), 'file')}, each as it says"
            if sealed.signer is not None:
                signature, sound = f"of {sealed.signer}", sealed.signer.revoked is None
    except InputError as error:  # a link, no metadata, or something was changed
        whole = f"{_below(error.path, folder)}: {error.reason}"
        broken = (folder / MANIFEST).exists() or (folder / SIGNATURE).exists()
        signature, sound = "not valid for what lies here" if broken else signature, not broken
    return Inspected(
        origin=origin, name=folder.name, version=version, digest=digest, manifest=whole,
        signature=signature, files=files, sound=sound, terms=tuple(terms_of(folder)),
        audit=audit(folder),
    )  # fmt: skip


def _below(path: str, folder: Path) -> str:
    """A path as it is in the bundle: the folder of a packed one means nothing to anybody."""
    inside = Path(path).is_relative_to(folder) and Path(path) != folder
    return Path(path).relative_to(folder).as_posix() if inside else folder.name


def _in_order(items: tuple[Item, ...]) -> list[Item]:
    """The worst first, and of each level targets, expressions and so on together."""
    kinds = [*KINDS]
    return sorted(items, key=lambda item: (-ord(item.level), kinds.index(item.kind)))
