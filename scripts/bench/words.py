# SPDX-License-Identifier: Apache-2.0
"""The words on a command line of a benchmark, above which stands what it measures."""

import argparse


def parser_of(text: str | None) -> argparse.ArgumentParser:
    """A parser of words, without any yet.

    Args:
        text: of the script: a line of what it does, an empty one, and how it does that.
    """
    lines = (text or "").splitlines()
    return argparse.ArgumentParser(
        description=lines[0], epilog="\n".join(lines[2:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
