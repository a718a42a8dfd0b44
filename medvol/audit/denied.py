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
NAMES = {
    "builtins.exit": "ends the process", "builtins.quit": "ends the process",
    "builtins.breakpoint": "stops in a debugger", "sys.exit": "ends the process",
    "_sitebuiltins.Quitter": "ends the process",
    "torch.save": "writes a pickle where it is told",
    "os.open": "writes where it is told", "os.write": "writes where it is told",
    "os.mkfifo": "writes where it is told", "os.mknod": "writes where it is told",
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
