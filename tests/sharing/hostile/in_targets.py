# SPDX-License-Identifier: Apache-2.0
"""Hostile `_target_`: what it names, what it is given, and how the name comes about."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sharing.hostile.in_expressions import entry
from sharing.hostile.kit import Hostile, changed


def shell(target: str) -> Hostile:
    """A network whose target is a way to `os.system`."""
    return entry(lambda m: {"network_def": {"_target_": target, "command": f"touch {m}"}}, "system")


def reaches(target: str, reason: str = "", *, level: str = "C", **given: Any) -> Hostile:
    """The same of what does not make files: it reaches out, loads code or stops the process."""
    return call(target, reason, alive="", level=level, **given)


def call(
    target: str, reason: str = "", *, alive: str = "network_def", level: str = "", **given: Any
) -> Hostile:
    """A network whose target is called; "MARK" in what it is given stands for the mark."""

    def fill(value: Any, mark: str) -> Any:
        return json.loads(json.dumps(value).replace("MARK", mark))

    return entry(
        lambda m: {"network_def": {"_target_": target, **fill(given, m)}},
        reason or target.rpartition(".")[2],
        alive=alive,
        level=level,
    )


NAMES = {
    "os.system": shell("os.system"),
    "posix.system": shell("posix.system"),
    "os of monai.bundle": shell("monai.bundle.scripts.os.system"),
    "os of torch": shell("torch.os.system"),
    "os of torch.hub": shell("torch.hub.os.system"),
    "os of numpy.f2py": shell("numpy.f2py.crackfortran.os.system"),
    "os of ignite": shell("ignite.handlers.checkpoint.os.system"),
    "os of ignite's logging": shell("ignite.engine.engine.logging.os.system"),
    "os of medvol": shell("medvol.files.os.system"),
    "a reference": entry(
        lambda m: {"t": "os.system", "network_def": {"_target_": "@t", "command": f"touch {m}"}},
        "@t|system",
    ),
    "an expression": entry(
        lambda m: {"network_def": {"_target_": "$'os.sys' + 'tem'", "command": f"touch {m}"}},
        r"\$'os|system|expression|target",
    ),
    "a function of an expression": entry(
        lambda m: {"network_def": {"_target_": "$torch.os.system", "command": f"touch {m}"}},
        "system",
    ),
    "subprocess.call": call("subprocess.call", args=["touch", "MARK"]),
    "subprocess of torch": call(
        "torch.utils.cpp_extension.subprocess.call", args=["touch", "MARK"]
    ),
    "run_cmd of monai": call(
        "monai.utils.run_cmd", "run_cmd|subprocess", cmd_list=["touch", "MARK"]
    ),
    "run of torch": call("torch.utils.collect_env.run", command="touch MARK"),
    "builtins.open": call("builtins.open", file="MARK", mode="w"),
    "builtins.eval": entry(
        lambda m: {
            "network_def": {
                "_target_": "functools.partial",
                "_mode_": "default",
                "func": f"$eval({f'open({m!r}, chr(119))'!r})",
            }
        },
        "eval|partial",
    ),
    "numpy.savetxt": call("numpy.savetxt", fname="MARK", X=[1.0]),
    "torch.save": call("torch.save", obj=[1], f="MARK"),
    "pathlib.Path.touch": entry(
        lambda m: {
            "p": {"_target_": "pathlib.Path", "_args_": [m]},
            "network_def": {
                "_target_": "pathlib.Path.touch",
                "self": f"$__import__('pathlib').Path({m!r})",
            },
        },
        "touch|__import__",
    ),
    "os.makedirs": call("os.makedirs", "makedirs|mkdir", name="MARK"),
    "logging.FileHandler": call("logging.FileHandler", filename="MARK"),
    "os of logging": shell("logging.os.system"),
    "runpy": reaches("runpy.run_path", path_name="scripts/x.py"),
    "exec of torch.fx": entry(
        lambda m: {
            "network_def": {
                "_target_": "torch.fx.graph_module._exec_with_source",
                "src": f"open({m!r}, 'w')",
                "globals": {},
            }
        },
        "_exec_with_source",
    ),
    "numpy.testing.runstring": entry(
        lambda m: {
            "network_def": {
                "_target_": "numpy.testing.runstring",
                "astr": f"open({m!r}, 'w')",
                "dict": {},
            }
        },
        "runstring",
    ),
    "monai.utils.instantiate": entry(
        lambda m: {
            "network_def": {
                "_target_": "monai.utils.instantiate",
                "_args_": 0,
                "__path": "os.system",
                "__mode": "default",
                "command": f"touch {m}",
            }
        },
        "instantiate",
        alive="",
    ),
    "ConfigExpression": entry(
        lambda m: {
            "e": {"_target_": "monai.bundle.ConfigExpression", "config": "@code"},
            "code": f"$$open({m!r}, 'w')"[1:],
            "network_def": "$@e.evaluate()",
        },
        "ConfigExpression|open",
        alive="",
    ),
    "ConfigExpression of a hidden text": entry(
        lambda m: {
            "network_def": "$monai.bundle.ConfigExpression(chr(36) + "
            f"{f'open({m!r}, chr(119))'!r}).evaluate()"
        },
        "ConfigExpression",
    ),
    "ConfigParser": entry(
        lambda m: {
            "network_def": "$monai.bundle.ConfigParser({'a': chr(36) + "
            f"{f'open({m!r}, chr(119))'!r}}}).get_parsed_content('a')"
        },
        "ConfigParser",
    ),
    "a workflow": reaches("monai.bundle.ConfigWorkflow", config_file="configs/train.json"),
    "monai.bundle.run": reaches("monai.bundle.run", config_file="configs/train.json"),
    "a thread": entry(
        lambda m: {
            "t": {
                "_target_": "threading.Thread",
                "target": "$torch.os.system",
                "args": [f"touch {m}"],
            },
            "network_def": "$(@t.start(), @t.join())",
        },
        "Thread|system",
    ),
    "a timer of signal": reaches("signal.alarm", seconds=1),
    "functools.partial": entry(
        lambda m: {
            "f": {
                "_target_": "functools.partial",
                "_mode_": "callable",
                "func": "$torch.os.system",
            },
            "network_def": f"$@f()('touch {m}')",
        },
        "partial|system",
        alive="",
    ),
    "operator.methodcaller": entry(
        lambda m: {
            "f": {"_target_": "operator.methodcaller", "name": "system", "command": f"touch {m}"},
            "network_def": "$@f(torch.os)",
        },
        "methodcaller|os",
        alive="",
    ),
    "a callable kept for later": entry(
        lambda m: {
            "f": {"_target_": "builtins.open", "_mode_": "callable", "file": m, "mode": "w"},
            "network_def": "$@f()",
        },
        "open",
    ),
    "a socket": reaches("socket.create_connection", address=["127.0.0.1", 9]),
    "a download": reaches("urllib.request.urlretrieve", url="http://127.0.0.1:9/", filename="MARK"),
    "a download of monai": reaches(
        "monai.apps.utils.download_url", url="http://127.0.0.1:9/a", filepath="MARK"
    ),
    "a download of torch": reaches(
        "torch.hub.load_state_dict_from_url", url="http://127.0.0.1:9/a"
    ),
    "ctypes": reaches("ctypes.CDLL", "CDLL|ctypes", name="libc.so.6"),
    "numpy.ctypeslib": reaches("numpy.ctypeslib.load_library", libname="a", loader_path="."),
    "torch.ops": reaches("torch.ops.load_library", path="a.so"),
    "a debugger": reaches("pdb.set_trace"),
    "a module that runs when imported": reaches("numpy.f2py.__main__.main", "f2py|main"),
    "a module of the standard library that runs": reaches("this.s", "this", level="B"),
    "an optional import": reaches("monai.utils.optional_import", module="scripts.x"),
    "a name of the bundle": reaches("scripts.net.Net", "scripts|bundle", level="B"),
}

ARGUMENTS = {
    "Lambdad": entry(
        lambda m: {
            "preprocessing": {
                "_target_": "Compose",
                "transforms": [
                    {
                        "_target_": "Lambdad",
                        "keys": "image",
                        "func": f"$lambda x: (open({m!r}, 'w'), x)[1]",
                    }
                ],
            }
        },
        "Lambda|lambda|open",
        alive="",
    ),
    "Lambda that names a function": entry(
        lambda _: {
            "preprocessing": {
                "_target_": "Compose",
                "transforms": [
                    {"_target_": "Lambda", "func": {"_target_": "os.system", "_mode_": "callable"}}
                ],
            }
        },
        "Lambda|system",
        alive="",
    ),
    "SaveImaged nested": entry(
        lambda m: {
            "preprocessing": {
                "_target_": "Compose",
                "transforms": [
                    {
                        "_target_": "Compose",
                        "transforms": [
                            "@preprocessing_own",
                            {"_target_": "SaveImaged", "keys": "image", "output_dir": m},
                        ],
                    }
                ],
            },
            "preprocessing_own": {"_target_": "LoadImaged", "keys": "image"},
        },
        "SaveImaged|outside",
        alive="",
    ),
    "SaveImaged that climbs": entry(
        lambda _: {
            "postprocessing#transforms#6#folder_layout#output_dir": "$@output_dir + '/../../..'"
        },
        r"output_dir|outside|\.\.",
        alive="",
    ),
    "output_dir elsewhere": entry(
        lambda m: {"output_dir": m}, "output_dir|outside", alive="", level=""
    ),
    "a writer of another": entry(
        lambda _: {"postprocessing#transforms#6#writer": "scripts.x.Writer"},
        "writer|Writer",
        alive="",
        level="",
    ),
    "a reader of another": entry(
        lambda _: {
            "preprocessing": {
                "_target_": "Compose",
                "transforms": [
                    {
                        "_target_": "LoadImaged",
                        "keys": "image",
                        "reader": "NumpyReader",
                        "allow_pickle": True,
                    }
                ],
            }
        },
        "NumpyReader|allow_pickle|pickle|reader",
        alive="",
        level="",
    ),
    "PersistentDataset": entry(
        lambda m: {
            "dataset": {
                "_target_": "PersistentDataset",
                "data": [],
                "transform": "@preprocessing",
                "cache_dir": m,
            }
        },
        "PersistentDataset",
        alive="dataset",
    ),
    "CheckpointSaver": entry(
        lambda m: {"handlers#1": {"_target_": "CheckpointSaver", "save_dir": m, "save_dict": {}}},
        "CheckpointSaver",
        alive="",
        level="",
    ),
    "LogfileHandler": entry(
        lambda m: {"handlers#1": {"_target_": "LogfileHandler", "output_dir": m}},
        "LogfileHandler",
        alive="",
        level="",
    ),
    "MLFlowHandler": entry(
        lambda m: {"handlers#1": {"_target_": "MLFlowHandler", "tracking_uri": f"file://{m}"}},
        "MLFlowHandler",
        alive="",
        level="",
    ),
    "DecathlonDataset": entry(
        lambda m: {
            "dataset": {
                "_target_": "monai.apps.DecathlonDataset",
                "root_dir": m,
                "task": "Task09_Spleen",
                "section": "test",
                "download": True,
            }
        },
        "DecathlonDataset",
        alive="",
        level="",
    ),
}


def _pickled(folder: Path, mark: Path) -> None:
    array = np.empty(1, dtype=object)
    array[0] = Marks(mark)
    np.save(folder / "models" / "extra.npy", array, allow_pickle=True)
    path = str(folder / "models" / "extra.npy")
    given = {"_target_": "numpy.load", "file": path, "allow_pickle": True}
    changed(folder, {"network_def": given})


def _torch_pickled(folder: Path, mark: Path) -> None:
    path = folder / "models" / "extra.bin"
    torch.save({"a": Marks(mark)}, path)
    changed(
        folder, {"network_def": {"_target_": "torch.load", "f": str(path), "weights_only": False}}
    )


def _hub(folder: Path, mark: Path) -> None:
    (folder / "hubconf.py").write_text(f"def net():\n    open({str(mark)!r}, 'w')\n")
    given = {
        "_target_": "torch.hub.load",
        "repo_or_dir": str(folder),
        "model": "net",
        "source": "local",
    }
    changed(folder, {"network_def": given})


class Marks:
    """Unpickling it creates the mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


WITH_FILES = {
    "numpy.load of a pickle": Hostile(_pickled, "numpy.load|load|objects", alive="network_def"),
    "torch.load of a pickle": Hostile(
        _torch_pickled, "torch.load|weights_only|load", alive="network_def"
    ),
    "torch.hub.load of the bundle": Hostile(_hub, "hub.load", alive=""),
}

CASES = {
    f"target {name}": case
    for table in (NAMES, ARGUMENTS, WITH_FILES)
    for name, case in table.items()
}
