# SPDX-License-Identifier: Apache-2.0
"""What a server is told when it starts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from ..engine.settings import USUAL, EngineSettings

GIB = 1 << 30
LOCAL = ("localhost",)
SHORTEST_TOKEN = 16  # characters; of 16 hexadecimal ones nobody guesses 64 bits over a network
ABOVE_0 = {  # numbers, as whoever starts a server calls them
    "keep_h": "--keep",
    "largest_bytes": "--largest",
    "most_waiting": "most_waiting",
    "most_kept": "most_kept",
    "time_limit_s": "--time-limit",
}
ORIGIN = re.compile(r"https?://[^/\s*]+")


@dataclass(frozen=True)
class Settings:
    """Where a server listens, what it serves, and what it allows.

    Args:
        folder: where it keeps images, jobs and results.
        bundles: names or folders; empty for all that came with medvol.
        host: address that it listens on.
        port: 0 takes a free one.
        device: "auto", "cpu" or "cuda".
        studies: folder of images that are there to be chosen.
        archive: DICOMweb address of an archive whose studies are there to be chosen.
        token: that a client has to show; empty where none is asked for.
        keep_h: hours, above 0, after which uploads and their results are deleted.
        largest_bytes: of one upload.
        most_waiting: jobs that may wait; one more is refused.
        most_kept: jobs that are over and not deleted yet; one more, and the oldest goes.
        time_limit_s: of one job.
        origins: other origins whose pages may ask, such as "https://viewer.hospital.example".
        names: under which it is reached beside its address and this machine's name, such as that of
            a proxy before it.
        archive_takes: what a viewer sends by STOW is passed on to the archive.
        ohif: folder of a static build of OHIF, which is served too.
        engine: how networks are run.

    Raises:
        ValueError: a number or an origin that makes no sense, a token that can be guessed, or
            another address than this machine's own without a token.
    """

    folder: Path
    bundles: Sequence[str] = ()
    host: str = "127.0.0.1"
    port: int = 8000
    device: str = "auto"
    studies: Path | None = None
    archive: str = ""
    token: str = field(default="", repr=False)
    keep_h: float = 24.0
    largest_bytes: int = 4 * GIB
    most_waiting: int = 200
    most_kept: int = 2000
    time_limit_s: float = 3600.0
    origins: Sequence[str] = ()
    archive_takes: bool = False
    ohif: Path | None = None
    names: Sequence[str] = ()
    engine: EngineSettings = USUAL

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port is {self.port}; give 0 to 65535")
        for name, words in ABOVE_0.items():
            if getattr(self, name) <= 0:
                raise ValueError(f"{words} is {getattr(self, name)}; give a number above 0")
        for origin in self.origins:
            if not ORIGIN.fullmatch(origin):
                raise ValueError(f"origin {origin!r} is none; give one such as https://a.example")
        if self.token and len(self.token) < SHORTEST_TOKEN:
            raise ValueError(f"the token is short; give {SHORTEST_TOKEN} characters or more")
        if not self.is_local and not self.token:
            raise ValueError(
                f"host {self.host} can be reached from other machines; give --token FILE with it"
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the server."""
        if self.host in LOCAL:
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False
