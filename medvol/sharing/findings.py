# SPDX-License-Identifier: Apache-2.0
"""What a check finds in a bundle: each finding is a line with file, key path and remedy."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError, printable


class Finding(NamedTuple):
    """One thing that is wrong with a bundle, or worth a look.

    Args:
        level: "error", or "note" for what some tools or readers want and others do not.
        file: relative to the bundle's root.
        key: path of the entry at fault, as in `a#b#0`; empty where it is the whole file.
        reason: what is wrong, one sentence.
        remedy: what to do, one sentence.
    """

    level: str
    file: str
    key: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file} {self.key}".strip()
        return printable(f"{self.level} {place}: {self.reason} {self.remedy}")


class Findings(list[Finding]):
    """Findings in the order in which they were made.

    Args:
        folder: the bundle's root.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def error(self, path: Path, key: str, reason: str, remedy: str) -> None:
        """Add what is wrong.

        Args:
            path: file at fault, in the bundle's folder.
            key: path of the entry at fault, empty for the whole file.
            reason: what is wrong, one sentence.
            remedy: what to do, one sentence.
        """
        self._add("error", path, key, reason, remedy)

    def note(self, path: Path, key: str, reason: str, remedy: str) -> None:
        """Add what is worth a look.

        Args:
            path, key, reason, remedy: as for `error`.
        """
        self._add("note", path, key, reason, remedy)

    @contextmanager
    def catching(self, path: Path, key: str, remedy: str) -> Iterator[None]:
        """Make whatever is raised inside a finding: parts of a bundle may raise anything.

        Args:
            path: file at fault, unless a refusal names another of the bundle.
            key: path of the entry at fault.
            remedy: what to do, unless a refusal says it.
        """
        try:
            yield
        except InputError as error:
            named = Path(error.path)
            inside = self.folder in named.parents
            self.error(named if inside else path, key, error.reason, error.remedy)
        except Exception as error:  # whatever a config names may raise whatever it likes
            lines = str(error).strip().splitlines() or [type(error).__name__]
            self.error(path, key, f"{lines[-1].strip().rstrip('.')}.", remedy)

    def _add(self, level: str, path: Path, key: str, reason: str, remedy: str) -> None:
        file = path.relative_to(self.folder).as_posix()
        if (found := Finding(level, file, key, reason, remedy)) not in self:
            self.append(found)
