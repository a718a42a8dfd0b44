# SPDX-License-Identifier: Apache-2.0
"""The process that trains takes no module of the folder in which the server was started."""

import subprocess
from pathlib import Path

from medvol.server.monailabel.training import PROGRAM


def test_nothing_of_the_current_folder_is_imported(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "json.py").write_text(f"open({str(mark)!r}, 'w')\n")
    done = subprocess.run([*PROGRAM, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not mark.exists()
