# SPDX-License-Identifier: Apache-2.0
"""Hostile entries whose parts all look harmless: what matters is what they lead to together."""

from typing import Any

from sharing.hostile.in_expressions import entry

RUNS = "$import torch.utils.collect_env as e"  # a module with `run`, which starts a shell
SAVER = {"_target_": "SaveImage", "output_dir": "@where"}


def reached(way: str, *, alive: str = "network_def", **entries: Any) -> Any:
    """A module that is reached by `way`, whose member `run` is called then."""
    return entry(
        lambda m: {**entries, "network_def": f"${way}.run('touch {m}')"},
        "module|run|refers|no config", level="", alive=alive,
    )  # fmt: skip


MODULES = {
    "a module in a dict": reached("@a['m']", a={"m": RUNS}),
    "a module in a list": reached("@a[0]", a=[RUNS]),
    "a module deep inside": reached("@a['b'][0]['c']", a={"b": [{"c": RUNS}]}),
    "a module behind a reference": reached("@b", a=RUNS, b="@a"),
    "a module behind a copy": reached("@b", a=RUNS, b="%a"),
    "a module behind an expression": reached("@b", a=RUNS, b="$@a if True else None"),
    "a module in a list of an expression": reached("@b[0]", a=RUNS, b="$[@a]"),
    "a module of an argument": reached("@b['x']", a=RUNS, b={"_target_": "dict", "x": "@a"}),
    "a module of imports": reached("@imports[0]", imports=[RUNS], alive=""),
    "a module in a loop": reached("[x for x in @a][0]", a=[RUNS]),
    "a module by max": reached("max(@a, key=str)", a=[RUNS]),
    "a module by next": reached("dict(x=@a)['x']", a=RUNS),
    "a module with the name of another": entry(
        lambda m: {"imports": ["$import torch", "$import torch.utils.collect_env as torch"],
                   "network_def": f"$torch.run('touch {m}')"}, "run|collect_env", level=""),
    "a function of a module, mapped": entry(
        lambda m: {"a": [RUNS], "network_def": f"$list(map(@a[0].run, ['touch {m}']))"},
        "module|run", level=""),
    "a function of a module, as a key": entry(
        lambda m: {"a": [RUNS], "network_def": f"$sorted(['touch {m}'], key=@a[0].run)"},
        "module|run", level=""),
    "a function of a module, as a step": entry(
        lambda m: {"a": [RUNS], "c": {"_target_": "Compose", "transforms": ["$@a[0].run"]},
                   "network_def": f"$@c('touch {m}')"}, "module|run", level=""),
    "a function of a module, of a data set": entry(
        lambda m: {"a": [RUNS], "c": {"_target_": "Dataset", "data": [f"touch {m}"],
                                      "transform": "$@a[0].run"}, "network_def": "$@c[0]"},
        "module|run", level=""),
    "os.replace behind a reference": entry(
        lambda m: {"a": ["$import os"], "network_def":
                   f"$@a[0].replace('{m}.a', {m!r})"}, "module", level="", alive=""),
    "os.system by another name": entry(
        lambda m: {"imports": ["$from os import system as len"],
                   "network_def": f"$len('touch {m}')"}, "system"),
    "os.system in other letters": entry(
        lambda m: {"imports": ["$import os"], "network_def": f"$os.\u017fystem('touch {m}')"},
        "system"),
    "the inside in other letters": entry(
        lambda _: {"network_def": "$torch.nn.Conv3d.__\uff49nit__.__\uff47lobals__"}, "inside",
        alive=""),
    "everything of os": entry(
        lambda m: {"imports": ["$from os import *"], "network_def": f"$system('touch {m}')"},
        "os|list", level="", alive=""),
    "a function of torch taken away": entry(
        lambda _: {"network_def": "$[0 for torch.nn.Conv3d.forward in [print]]"},
        "list", level="", alive=""),
    "print into a file": entry(
        lambda m: {"network_def": f"$print('x', file=open({m!r}, 'w'))"}, "open", level=""),
    "the format of a text": entry(
        lambda _: {"network_def": "$'{0.__class__}'.format(1)"}, "format", level="", alive=""),
    "a disabled target": entry(
        lambda m: {"network_def": {"_target_": "os.system", "command": f"touch {m}",
                                   "_disabled_": True}}, "system", alive=""),
    "a part of medvol's own that hands on os": entry(
        lambda m: {"network_def": {"_target_": "scripts.medvol.v0_1_0_12ab34cd.files.os.system",
                                   "command": f"touch {m}"}}, "system", alive=""),
}  # fmt: skip

PLACES = {  # of what is written
    "a place behind a reference": entry(
        lambda m: {"where": m, "saver": SAVER, "network_def": "@saver"}, "outside", alive=""),
    "a place that an id changes": entry(
        lambda m: {"where": {"b": "./eval"}, "where::b": m, "network_def":
                   {"_target_": "SaveImage", "output_dir": "@where::b"}}, "outside", alive=""),
    "a place that an id with # changes": entry(
        lambda m: {"where": {"b": "./eval"}, "where#b": m, "network_def":
                   {"_target_": "SaveImage", "output_dir": "@where::b"}}, "outside", alive=""),
    "a place that a merge changes": entry(
        lambda m: {"network_def": SAVER, "where": ["./eval"], "+where": [m]},
        "outside|cannot be told",
        alive="",
    ),
    "a place put together": entry(
        lambda _: {"network_def": {"_target_": "SaveImage", "output_dir": "$''.join(['/', 'x'])"}},
        "cannot be told", level="", alive=""),
    "a place by replacing": entry(
        lambda m: {"p": m.replace("/", "X"), "network_def":
                   {"_target_": "SaveImage", "output_dir": "$@p.replace('X', '/')"}},
        "cannot be told", level="", alive=""),
    "a place of the user's home": entry(
        lambda _: {"network_def": {"_target_": "SaveImage", "output_dir": "~/.config"}},
        "outside", alive=""),
    "a place of a drive": entry(
        lambda _: {"network_def": {"_target_": "SaveImage", "output_dir": "C:/Users"}},
        "outside", alive=""),
    "a place in a folder's layout": entry(
        lambda m: {"network_def": {"_target_": "SaveImage", "folder_layout":
                   {"_target_": "monai.data.FolderLayout", "output_dir": m}}}, "outside", alive=""),
    "a place in the name of a file": entry(
        lambda m: {"network_def": {"_target_": "SaveImage", "output_postfix": f"/../../{m}"}},
        "outside", alive=""),
    "a place given by keyword": entry(
        lambda m: {"k": {"output_dir": m}, "imports": ["$import monai"],
                   "network_def": "$monai.transforms.SaveImage(**@k)"}, "cannot be told",
        level="", alive=""),
    "a place in the name of a metric": entry(
        lambda m: {"handlers": [{"_target_": "MetricsSaver", "save_dir": "./eval"}],
                   "key_metric": {f"../../../../../..{m}": {"_target_": "MeanDice"}}},
        r"\.\.|outside|name", level="", alive=""),
    "a relative place that is copied": entry(
        lambda m: {"a": {"b": "%q::s", "p": m}, "q": {"s": {"_target_": "SaveImage",
                   "output_dir": "@##p"}, "p": "./eval"}, "network_def": "@a::b"},
        "cop|relative|outside", level="", alive=""),
    "a writer that is a function": entry(
        lambda _: {"network_def": {"_target_": "SaveImage", "writer": "os.system"}}, "system",
        alive=""),
    "a pickle by a reference": entry(
        lambda _: {"w": False, "network_def": "$torch.load('x', weights_only=@w)"}, "pickle",
        alive=""),
    "a pickle by its place": entry(
        lambda _: {"imports": ["$import numpy as np"], "network_def": "$np.load('x', None, True)"},
        "pickle", alive=""),
    "a pickle by another module": entry(
        lambda _: {"network_def": "$torch.load('x', pickle_module=torch.serialization.pickle)"},
        "pickle", alive=""),
}  # fmt: skip

CASES = {f"disguise {name}": case for table in (MODULES, PLACES) for name, case in table.items()}
