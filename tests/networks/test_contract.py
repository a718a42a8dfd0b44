# SPDX-License-Identifier: Apache-2.0
"""Every network of medvol passes the contract of the family, in the test of its own file."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from torch import nn

import medvol.networks

BASES = {"TransferNetwork", "TransferClassifier", "PlainClassifier"}
OF_OTHERS = {"AveragedNetwork"}  # made of networks, not of settings
LAYERS = {"DecoderLevel", "Encoder", "SamePadding", "SynchronisedBatchNorm"}  # parts of networks


def test_every_network_is_under_contract() -> None:
    rooms = [f"medvol.networks.{m.name}" for m in iter_modules(medvol.networks.__path__)]
    made = {
        name
        for room in rooms
        for name, value in vars(import_module(room)).items()
        if inspect.isclass(value) and issubclass(value, nn.Module) and value.__module__ == room
    }
    text = "\n".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    tested = re.findall(r"^class Test(\w+)\(\w+Contract\):$", text, re.MULTILINE)
    assert made - BASES - LAYERS - OF_OTHERS == set(tested)
