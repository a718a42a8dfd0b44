# SPDX-License-Identifier: Apache-2.0
"""The page's files: read once, each with its type, its hash and a packed form."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).parent / "static"
VENDOR = Path(__file__).parent / "vendor"  # NiiVue, where the build fetched it
INDEX = "index.html"
# not by `mimetypes`, which reads what the system's tables say
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class PageFile:
    """What is sent of one file, plain or packed, and by what a browser knows it again.

    Args:
        content: its bytes.
        packed: the same by gzip.
        media_type: as HTTP names it.
        etag: changes when the content does.
    """

    content: bytes
    packed: bytes
    media_type: str
    etag: str


def page_files(static: Path = STATIC, vendor: Path = VENDOR) -> Mapping[str, PageFile]:
    """All files of the page by their names below `/page/`; what is not in it cannot be asked for.

    Args:
        static: folder of the page itself.
        vendor: folder of what others wrote; may be missing.
    """
    found = {}
    for folder, above in ((static, ""), (vendor, "vendor/")):
        for path in sorted(folder.rglob("*")):
            if path.suffix in TYPES and path.is_file():
                name = above + path.relative_to(folder).as_posix()
                found[name] = _read(path)
    return found


def _read(path: Path) -> PageFile:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:32]
    packed = gzip.compress(content, compresslevel=6, mtime=0)
    return PageFile(content, packed, TYPES[path.suffix], f'"{digest}"')
