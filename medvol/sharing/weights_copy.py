# SPDX-License-Identifier: Apache-2.0
"""The weights of a bundle once more in a format that cannot hold code.

A file of its own, since a packed bundle is the only place where both lie beside each other.
"""

import json
from pathlib import Path

from safetensors.torch import save

from ..networks.weights import RECORD, read_state, record_in

SUFFIX = ".safetensors"


def copy_as_safetensors(models: Path) -> list[Path]:
    """Write every state dict below a folder beside itself; same names, same numbers.

    Args:
        models: folder with `.pt` files.

    Raises:
        InputError: E_BUNDLE, one is not a plain state dict, see `read_state`.

    Returns:
        The files that were written, whose metadata hold what the weights were trained for.
    """
    made = []
    for path in sorted(models.rglob("*.pt")):
        state = read_state(path)
        apart = {name: value.clone().contiguous() for name, value in state.items()}
        record = json.dumps(record_in(path).to_json(), sort_keys=True)
        target = path.with_suffix(SUFFIX)
        target.write_bytes(save(apart, metadata={RECORD: record}))
        made.append(target)
    return made
