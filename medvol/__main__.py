# SPDX-License-Identifier: Apache-2.0
"""Makes `python -m medvol` the same as the command `medvol`."""

from .cli import main

raise SystemExit(main())
