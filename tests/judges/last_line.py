# SPDX-License-Identifier: Apache-2.0
"""How the programs of this folder end: with the innermost reason as the last line."""

import sys
import warnings
from collections.abc import Callable


def said_in_one_line(main: Callable[..., None]) -> None:
    """Run a program on the words of its command line.

    Args:
        main: takes the words.
    """
    warnings.filterwarnings("ignore")
    try:
        main(*sys.argv[1:])
    except Exception as error:
        cause: BaseException = error
        while inner := cause.__cause__ or cause.__context__:
            cause = inner
        print(" ".join(f"{type(cause).__name__}: {cause}".split()))
        sys.exit(1)
