# SPDX-License-Identifier: Apache-2.0
"""How a bundle's parts are run: by what, with how many threads, in how much memory; no torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

AUTO = "auto"
BACKENDS = (
    AUTO, "torch", "torch-channels-last", "openvino", "torch-graphs", "torch-compiled",
)  # fmt: skip
LUNGS = "lungs"
CROPS = (LUNGS,)


@dataclass(frozen=True)
class EngineSettings:
    """What a user may say of how a network is run; but for crop and mirror it changes no answer.

    Args:
        backend: that runs the network, of `BACKENDS`; "auto" takes what was the fastest here.
        stock: every part of the bundle runs as it stands, none is replaced by a faster equal.
        threads: that compute; None for as many as there are cores that others leave free.
        max_memory_bytes: that the run may take; None for what is free.
        crop: "lungs": of a chest CT only their box goes through the bundle, see `engine.lung_box`.
        choice: what was measured on any machine, as `medvol bundle backends --json` prints it: its
            backend runs the network, or the run is refused. Where `backend` is "auto" only.
        mirror: the mean of the image and of it mirrored left to right, see `networks.averaged`.

    Raises:
        ValueError: no such backend or crop, no thread, no memory; another backend for stock parts,
            or beside a choice.
    """

    backend: str = AUTO
    stock: bool = False
    threads: int | None = None
    max_memory_bytes: int | None = None
    crop: str | None = None
    choice: Mapping[str, Any] | None = None
    mirror: bool = False

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise ValueError(f"backend is {self.backend!r}; give one of {', '.join(BACKENDS)}")
        if self.stock and self.backend not in (AUTO, "torch"):
            raise ValueError(f"stock parts run by torch; leave out {self.backend}, or stock")
        if self.choice is not None:
            if self.backend != AUTO or self.stock:
                raise ValueError("a choice of a backend is beside another, or stock; leave one out")
            if self.choice.get("backend") not in BACKENDS[1:]:
                raise ValueError(f"a choice of a backend names none of {', '.join(BACKENDS[1:])}")
        if self.crop is not None and self.crop not in CROPS:
            raise ValueError(f"crop is {self.crop!r}; give one of {', '.join(CROPS)}, or nothing")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads is {self.threads}; give 1 or more")
        if self.max_memory_bytes is not None and self.max_memory_bytes < 1:
            raise ValueError(f"max_memory is {self.max_memory_bytes} bytes; give more than 0")

    @property
    def asked(self) -> dict[str, Any]:
        """What differs from the usual, by name: what a record and a key name."""
        usual: Mapping[str, Any] = asdict(EngineSettings())
        return {name: value for name, value in asdict(self).items() if value != usual[name]}

    def over(self, before: Mapping[str, Any]) -> "EngineSettings":
        """These settings, and those of an earlier run where these are the usual.

        Args:
            before: what was `asked` then.

        Example:
            >>> EngineSettings(threads=2).over({"threads": 1, "stock": True}).asked
            {'stock': True, 'threads': 2}
        """
        known = {name: before[name] for name in asdict(USUAL) if name in before}
        if {"backend", "choice", "stock"} & self.asked.keys():  # of which one is given
            known = {name: x for name, x in known.items() if name not in ("backend", "choice")}
        return EngineSettings(**{**known, **self.asked})


USUAL = EngineSettings()
