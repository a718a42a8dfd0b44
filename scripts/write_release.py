# SPDX-License-Identifier: Apache-2.0
"""Add this version's files to medvol/audit/releases.json: run once, when a version is released.

A packed bundle carries copies of medvol's files. A later medvol knows them by these checksums.
"""

import json
from pathlib import Path

import medvol
from medvol.audit.vendored import RELEASES
from medvol.files import replacing, sha256_of

PACKAGE = Path(medvol.__file__).parent


def release() -> dict[str, str]:
    """Path below medvol/ to SHA-256 of every file that a bundle can carry."""
    files = (path for path in sorted(PACKAGE.rglob("*")) if path.is_file() and path != RELEASES)
    below = {path.relative_to(PACKAGE).as_posix(): path for path in files}
    return {
        name: sha256_of(path)
        for name, path in below.items()
        if "__pycache__" not in name and not name.startswith(("_bundles/", "cli/"))
    }


if __name__ == "__main__":
    releases = json.loads(RELEASES.read_text(encoding="utf-8"))
    if medvol.__version__ in releases:
        raise SystemExit(f"{medvol.__version__} is there already; a release does not change")
    releases[medvol.__version__] = release()
    with replacing(RELEASES) as path:
        path.write_text(json.dumps(releases, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{len(releases[medvol.__version__])} files of {medvol.__version__}")
