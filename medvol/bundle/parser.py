# SPDX-License-Identifier: Apache-2.0
"""MONAI's parser of configs, which reads verified bytes, and nothing from outside the bundle."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from ..errors import InputError
from ..metadata import METADATA
from ..strictly import MOST_BYTES, YAML_SUFFIXES, read_strictly
from ..verified import content_of

MACRO = "%"  # begins what is taken over from another place or file
SUFFIXES = (".json", *YAML_SUFFIXES)


class Parser(ConfigParser):
    """MONAI's `ConfigParser` of files that lie in bundles.

    Args:
        roots: the folders that `%file::id` may read from.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = [root.resolve() for root in roots]
        super().__init__()

    @classmethod
    def load_config_file(cls, filepath: str | os.PathLike[str], **_: Any) -> dict[str, Any]:
        """The content of a config; of a bundle that was looked at, the bytes that were looked at.

        Args:
            filepath: JSON or YAML.

        Raises:
            InputError: E_CHANGED, it is another file than before.
            OSError, ValueError: it cannot be read, is too large or neither, or as for
                `read_strictly`.
        """
        path = Path(filepath)
        if path.exists() and not path.is_file():  # a device can be read without end
            raise ValueError("it is not a file")
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES >> 20} MB")
        if path.suffix.lower() not in SUFFIXES:
            raise ValueError(f"{path.name} is neither JSON nor YAML")
        read = read_strictly(content_of(path), suffix=path.suffix)
        if not isinstance(read, dict):
            raise ValueError("it is not an object")
        return read

    def _do_resolve(self, config: Any, id: str = "") -> Any:
        """As MONAI does, but a file that `%` names must lie in the bundle."""
        if isinstance(config, str) and config.startswith(MACRO):
            path, ids = self.split_path_id(self.resolve_relative_ids(id, config)[len(MACRO) :])
            if path:
                self._check_inside(id, path)
                return deepcopy(ConfigParser(self.load_config_file(path))[ids])
        return super()._do_resolve(config, id)

    def _check_inside(self, key: str, path: str) -> None:
        place = Path(path).resolve()
        if not any(place.is_relative_to(root) for root in self.roots):
            raise InputError(
                "E_UNTRUSTED", path, f"`{key.replace('::', '#')}` of a bundle takes an entry from "
                "it, and it lies outside that bundle.", "Copy the entry into the bundle.",
            )  # fmt: skip


@contextmanager
def strict() -> Iterator[None]:
    """Let MONAI's own parser read files as `Parser` does while the block runs."""
    before = vars(ConfigParser)["load_config_file"]
    ConfigParser.load_config_file = Parser.load_config_file
    try:
        yield
    finally:
        ConfigParser.load_config_file = before


def root_of(config: Path) -> Path | None:
    """The root of the bundle that a config lies in, the innermost; None for a file elsewhere.

    Args:
        config: such as NAME/configs/train.json.
    """
    around = config.absolute().parents
    return next((place for place in around if (place / METADATA).is_file()), None)
