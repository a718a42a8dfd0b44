# SPDX-License-Identifier: Apache-2.0
"""What medvol never runs for a bundle, by the names of the objects, and why."""

from .scripts import FORBIDDEN, FORBIDDEN_MODULES

# of these modules everything, also where another module hands it on
MODULES = {
    "monai.bundle": "reads, loads or runs other bundles and configs",
    "monai.apps.utils": "downloads or unpacks files",
    "monai.apps.mmars": "downloads files",
    "huggingface_hub": "reaches the network",
    "urllib": "reaches the network",
    "http": "reaches the network",
    "asyncio": "reaches the network and starts processes",
    "torch.hub": "downloads code and runs it",
    "torch.utils.model_zoo": "downloads files",
    "torch.utils.collect_env": "starts processes",
    "numpy.testing": "runs code from texts",
    "shutil": "writes or deletes files",
    "logging.handlers": "reaches the network or writes where it is told",
    "logging.config": "runs what settings of logging name",
    "torch.package": "runs code from a file",
    "torch.utils.cpp_extension": "compiles code and runs it",
    "torch.multiprocessing": "starts processes",
    "multiprocessing": "starts processes",
    "concurrent.futures": "starts threads or processes",
    "threading": "starts threads",
    "_thread": "starts threads",
    "signal": "changes how the process ends",
    "_signal": "changes how the process ends",
    "faulthandler": "changes how the process ends",
    "importlib": "imports any module",
    "_frozen_importlib": "imports any module",
    "runpy": "runs any module",
    "fire": "runs any function",
    "numpy.f2py": "compiles code and runs it",
    "numpy.ctypeslib": "loads machine code",
    "_ctypes": "reaches into the memory of the process",
    "_socket": "reaches the network",
    "_posixsubprocess": "starts processes",
    "bdb": "stops in a debugger",
}
_WRITES = "writes or deletes where it is told"
NAMES = {
    "builtins.exit": "ends the process", "builtins.quit": "ends the process",
    "builtins.breakpoint": "stops in a debugger", "sys.exit": "ends the process",
    "_sitebuiltins.Quitter": "ends the process",
    "monai.utils.misc.run_cmd": "starts processes",
    "torch.fx.graph_module._exec_with_source": "runs code from a text",
    "logging.FileHandler": _WRITES, "logging.basicConfig": _WRITES,
    "numpy.save": _WRITES, "numpy.savetxt": _WRITES, "numpy.savez": _WRITES,
    "numpy.savez_compressed": _WRITES,
    "os.mkdir": _WRITES, "os.makedirs": _WRITES,
    "pathlib.Path.touch": _WRITES, "pathlib.Path.write_text": _WRITES,
    "pathlib.Path.write_bytes": _WRITES, "pathlib.Path.unlink": _WRITES,
    "pathlib.Path.rename": _WRITES, "pathlib.Path.replace": _WRITES,
    "pathlib.Path.rmdir": _WRITES, "pathlib.Path.mkdir": _WRITES,
    "torch.save": "writes a pickle where it is told",
    "torch.serialization.save": "writes a pickle where it is told",
    "os.open": _WRITES, "os.write": _WRITES,
    "os.mkfifo": _WRITES, "os.mknod": _WRITES,
    "os.chdir": "changes the process", "os.chroot": "changes the process",
    "os.nice": "changes the process", "os.setsid": "changes the process",
    "os.killpg": "ends processes", "os.register_at_fork": "changes the process",
    "io.open_code": "runs code",
    "pydoc.locate": "imports any module",
    "monai.utils.module.optional_import": "imports any module",
    "monai.utils.module.instantiate": "imports any module and calls it",
    "monai.utils.module.load_submodules": "imports any module",
    "monai.utils.module.run_eval": "runs any code",
}  # fmt: skip
STARTS = ("os.exec", "os.spawn", "os.posix_spawn", "os.set")
_RUNS = "is what medvol never runs: it starts or ends processes, runs code, or writes or deletes"
_OWNERS = {"posix": "os", "nt": "os", "_io": "io"}  # modules behind those that people name


def denied(name: str) -> str | None:
    """Why medvol never runs an object; None where it is not one of these.

    Args:
        name: module and qualified name.

    Example:
        >>> denied("posix.system") is None, denied("os.path.join") is None
        (False, True)
        >>> denied("torch.hub.load")
        'downloads code and runs it'
    """
    module, _, rest = name.partition(".")
    name = f"{_OWNERS.get(module, module)}.{rest}" if rest else name
    if name in NAMES:
        return NAMES[name]
    parts = name.split(".")
    above = [".".join(parts[:depth]) for depth in range(len(parts), 0, -1)]
    for module in above:
        if module in MODULES:
            return MODULES[module]
        if module in FORBIDDEN_MODULES and module not in ("posix", "nt"):
            return _RUNS
    plain = name.removeprefix("builtins.")
    return _RUNS if {name, plain} & FORBIDDEN or name.startswith(STARTS) else None
