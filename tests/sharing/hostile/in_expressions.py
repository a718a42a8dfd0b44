# SPDX-License-Identifier: Apache-2.0
"""Hostile `$` expressions, in every place where MONAI evaluates one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sharing.hostile.kit import Hostile, changed

NETWORK = {"_target_": "torch.nn.Conv3d", "in_channels": 1, "out_channels": 4, "kernel_size": 1}
Changes = Callable[[str], dict[str, Any]]  # given the path of the mark


def entry(
    changes: Changes,
    reason: str,
    *,
    level: str = "",
    alive: str = "network_def",
    config: str = "inference",
) -> Hostile:
    """A hostile bundle with changed entries."""

    def what(folder: Path, mark: Path) -> None:
        changed(folder, changes(str(mark)), config=config)

    return Hostile(what, reason, level, alive)


def opens(mark: str) -> str:
    """An expression that creates the mark, and is a network."""
    return f"(open({mark!r}, 'w').close(), torch.nn.Conv3d(1, 4, 1))[1]"


def net(**own: Any) -> dict[str, Any]:
    """The network's entry, with entries of its own."""
    return {"network_def": {**NETWORK, **own}}


PLACES = {  # where an expression stands
    "of an entry": entry(lambda m: {"network_def": f"${opens(m)}"}, "open"),
    "of an argument": entry(lambda m: net(bias=f"$bool(open({m!r}, 'w'))"), "open"),
    "of _requires_": entry(lambda m: net(_requires_=f"$open({m!r}, 'w')"), "open"),
    "in a list of _requires_": entry(
        lambda m: net(_requires_=["@device", f"$open({m!r}, 'w')"]), "open"
    ),
    "of _disabled_": entry(lambda m: net(_disabled_=f"$not open({m!r}, 'w')"), "open"),
    "of _mode_": entry(lambda m: net(_mode_=f"$open({m!r}, 'w') and 'default'"), "open"),
    "of _desc_": entry(lambda m: net(_desc_=f"$open({m!r}, 'w')"), "open"),
    "of _target_": entry(lambda m: net(_target_=f"$open({m!r}, 'w') and torch.nn.Conv3d"), "open"),
    "behind a reference": entry(lambda m: {"seen": f"${opens(m)}", "network_def": "@seen"}, "open"),
    "behind two references": entry(
        lambda m: {"a": [0, f"${opens(m)}"], "b": "@a#1", "network_def": "@b"}, "open"
    ),
    "in a list of a dict": entry(
        lambda m: net(padding=[0, 0, f"$0 * bool(open({m!r}, 'w'))"]), "open"
    ),
    "of an id with #": entry(
        lambda m: {"network_def": dict(NETWORK), "network_def::bias": f"$bool(open({m!r}, 'w'))"},
        "open",
    ),
    "of a relative id": entry(
        lambda m: (
            net(bias="$bool(@##seen)", _requires_=["@##seen"]) | {"seen": f"$open({m!r}, 'w')"}
        ),
        "open",
    ),
    "of device": entry(
        lambda m: {"device": f"$(open({m!r}, 'w'), torch.device('cpu'))[1]"}, "open", alive="device"
    ),
    "of imports": entry(
        lambda m: {"imports": ["$import torch", f"$open({m!r}, 'w')"]}, "open", alive="imports"
    ),
    "of the inferer": entry(
        lambda m: {"inferer#inferer#overlap": f"$open({m!r}, 'w') and 0.5"}, "open", alive="inferer"
    ),
    "of the chain": entry(
        lambda m: {"preprocessing#spacing_mm": f"$open({m!r}, 'w') and [2, 2, 4]"},
        "open",
        alive="preprocessing",
    ),
    "of postprocessing": entry(
        lambda m: {"postprocessing#transforms#0#softmax": f"$bool(open({m!r}, 'w'))"},
        "open",
        alive="postprocessing",
    ),
    "of a handler": entry(
        lambda m: {"handlers#1#iteration_log": f"$not open({m!r}, 'w')"}, "open", alive="handlers"
    ),
    "of initialize": entry(
        lambda m: {"initialize": [f"$open({m!r}, 'w')"]}, "open", alive="initialize"
    ),
    "of run": entry(lambda m: {"run": [f"$open({m!r}, 'w')"]}, "open", alive="run"),
    "of an entry nobody asks for": entry(
        lambda m: {"spare": f"$open({m!r}, 'w')"}, "open", alive="spare"
    ),
    "of training": entry(
        lambda m: {"network_def": f"${opens(m)}"}, "open", alive="", config="train"
    ),
    "of an overlay": entry(
        lambda m: {"spare": f"$open({m!r}, 'w')"}, "open", alive="", config="evaluate"
    ),
    "of a merge": entry(lambda m: {"+imports": [f"$open({m!r}, 'w')"]}, "open", alive="imports"),
}

WAYS = {  # how an expression reaches what it wants
    "eval": entry(lambda m: {"network_def": f"$eval({opens(m)!r})"}, "eval", level="C"),
    "exec": entry(lambda m: {"network_def": f"$exec({opens(m)!r})"}, "exec", level="C"),
    "compile": entry(
        lambda m: {"network_def": f"$eval(compile({opens(m)!r}, 'a', 'eval'))"},
        "eval|compile",
        level="C",
    ),
    "__import__": entry(
        lambda m: {"network_def": f"$__import__('os').system('touch {m}')"}, "__import__", level="C"
    ),
    "os of torch": entry(
        lambda m: {"network_def": f"$torch.os.system('touch {m}')"}, "system", level="C"
    ),
    "sys of torch": entry(
        lambda m: {"network_def": f"$torch.sys.modules['os'].system('touch {m}')"},
        "system|modules|sys",
    ),
    "globals of a method": entry(
        lambda m: {
            "network_def": f"$torch.nn.Module.__init__.__globals__['torch'].os.system('touch {m}')"
        },
        "__globals__|system|__init__",
        level="C",
    ),
    "classes of a tuple": entry(
        lambda m: {
            "network_def": "$[c for c in ().__class__.__base__.__subclasses__() if "
            "c.__name__ == 'Popen'] and "
            f"torch.os.system('touch {m}')"
        },
        "__class__|__base__|__subclasses__|system",
        level="C",
    ),
    "getattr": entry(
        lambda m: {"network_def": f"$getattr(torch.os, 'sys' + 'tem')('touch {m}')"}, "getattr"
    ),
    "a text of format": entry(lambda m: {"network_def": f"$f\"{{open({m!r}, 'w')}}\""}, "open"),
    "a comprehension": entry(
        lambda m: {"network_def": f"$[open({m!r}, 'w') for _ in 'a']"}, "open"
    ),
    "a function without name": entry(
        lambda m: {"network_def": f"$(lambda: open({m!r}, 'w'))()"}, "lambda|open"
    ),
    "a name of its own": entry(lambda m: {"network_def": f"$(f := open)({m!r}, 'w')"}, "open"),
    "a keyword of a call": entry(lambda m: {"network_def": f"$dict(a=open({m!r}, 'w'))"}, "open"),
    "an index": entry(lambda m: {"network_def": f"$[1][bool(open({m!r}, 'w')) * 0]"}, "open"),
    "builtins of a module": entry(
        lambda m: {"network_def": f"$torch.__builtins__['open']({m!r}, 'w')"},
        "__builtins__",
        level="C",
    ),
    "map over open": entry(lambda m: {"network_def": f"$list(map(open, [{m!r}], ['w']))"}, "open"),
    "sorted by open": entry(
        lambda m: {"network_def": f"$sorted([{m!r}], key=lambda p: open(p, 'w').fileno())"},
        "lambda|open",
    ),
    "a saved tensor": entry(
        lambda m: {"network_def": f"$torch.save(torch.ones(1), {m!r})"}, "save", level="C"
    ),
    "a saved array": entry(
        lambda m: {"imports": ["$import numpy"], "network_def": f"$numpy.ones(1).tofile({m!r})"},
        "tofile",
    ),
    "subprocess imported": entry(
        lambda m: {
            "imports": ["$import subprocess"],
            "network_def": f"$subprocess.call(['touch', {m!r}])",
        },
        "subprocess",
        level="",
    ),
    "a part of os imported": entry(
        lambda m: {"imports": ["$from os import system as s"], "network_def": f"$s('touch {m}')"},
        "system",
        level="C",
    ),
    "an import deep inside": entry(
        lambda m: net(bias="$import os") | {"network_def#x": f"$torch.os.system('touch {m}')"},
        "system",
    ),
    "a text of another entry": entry(
        lambda m: {"said": opens(m), "network_def": "$eval(@said)"}, "eval", level="C"
    ),
}

ENDLESS = {  # what never ends, ends the process, or fills its memory; there is no mark
    "a power": entry(
        lambda _: net(bias="$bool(9**9**9)"), r"\*\*|power|large|9", level="", alive=""
    ),
    "an endless sum": entry(
        lambda _: net(bias="$bool(sum(iter(int, 1)))"), "iter", level="", alive=""
    ),
    "an endless loop": entry(
        lambda _: net(bias="$[0 for _ in iter(int, 1)]"), "iter", level="", alive=""
    ),
    "os._exit": entry(lambda _: net(bias="$torch.os._exit(0)"), "_exit", alive="", level="C"),
    "sys.exit": entry(lambda _: net(bias="$torch.sys.exit(0)"), "exit", alive="", level="C"),
    "exit": entry(lambda _: net(bias="$exit(0)"), "exit", level="C", alive=""),
    "breakpoint": entry(lambda _: net(bias="$breakpoint()"), "breakpoint", alive="", level="C"),
    "_mode_ debug": entry(lambda _: net(_mode_="debug"), "debug", alive="", level="C"),
    "a long text": entry(lambda _: net(bias="$bool('a' * 10**12)"), r"\*", level="", alive=""),
    "a long list": entry(lambda _: net(bias="$bool([0] * 10**12)"), r"\*", level="", alive=""),
    "a long tensor": entry(
        lambda _: net(bias="$bool(torch.ones(10**13).sum())"), "ones", level="", alive=""
    ),
}

CASES = {
    f"expression {name}": case for table in (PLACES, WAYS, ENDLESS) for name, case in table.items()
}
