# SPDX-License-Identifier: Apache-2.0
"""Letters that no font has."""

from medvol.report.letters import MISSING, drawable


def test_drawable_replaces_only_what_no_font_has() -> None:
    assert drawable("Łuk µ ☃ \n end") == "Łuk µ ☃ end"
    assert drawable("a\ue123\udcff") == f"a{MISSING}{MISSING}"
