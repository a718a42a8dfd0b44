# SPDX-License-Identifier: Apache-2.0
"""Write the tables of docs/errors.md from `medvol.codes`; or with --check compare them."""

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from medvol.codes import ERROR_CODES, NOTE_CODES, Code

PAGE = Path(__file__).resolve().parents[1] / "docs" / "errors.md"
TABLES = {"errors": ERROR_CODES, "notes": NOTE_CODES}  # name in the page to what it shows


def table(codes: Mapping[str, Code]) -> str:
    """A Markdown table, a line a code."""
    head = "| code | reason | what to do |\n| --- | --- | --- |\n"
    return head + "".join(f"| `{name}` | {x.reason} | {x.remedy} |\n" for name, x in codes.items())


def with_tables(page: str) -> str:
    """A page with what stands between `<!-- NAME: ... -->` and `<!-- end -->` written anew."""
    for name, codes in TABLES.items():
        begin, end = f"(<!-- {name}: .*? -->\n)", "(<!-- end -->)"
        page, found = re.subn(
            f"{begin}.*?{end}",
            lambda marks, codes=codes: marks[1] + table(codes) + marks[2],
            page,
            flags=re.DOTALL,
        )
        if found != 1:
            raise ValueError(f"{PAGE.name} has {found} places for {name}; give one")
    return page


def main() -> int:
    """Write the page, or compare it; 1 where it differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args()
    before = PAGE.read_text(encoding="utf-8")
    after = with_tables(before)
    if not args.check:
        PAGE.write_text(after, encoding="utf-8")
    return int(args.check and before != after)


if __name__ == "__main__":
    sys.exit(main())
