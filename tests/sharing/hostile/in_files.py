# SPDX-License-Identifier: Apache-2.0
"""Hostile files of a bundle: scripts, weights, links, and what takes the place of others."""

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sharing.hostile.in_expressions import NETWORK
from sharing.hostile.in_targets import Marks
from sharing.hostile.kit import Hostile, changed

import medvol

MEDVOL = Path(medvol.__file__).parent


def code(path: str, *, more: str = "", reason: str, level: str = "C") -> Hostile:
    """A script that creates the mark when it is imported."""

    def what(folder: Path, mark: Path) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f"open({str(mark)!r}, 'w')\n{more}")

    return Hostile(what, reason, level)


def put(path: str, content: Callable[[Path], bytes], *, reason: str, level: str = "C") -> Hostile:
    """A file with bytes that are given the mark."""

    def what(folder: Path, mark: Path) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content(mark))

    return Hostile(what, reason, level)


def _named_script(folder: Path, mark: Path) -> None:
    (folder / "scripts").mkdir()
    (folder / "scripts" / "net.py").write_text(
        f"import torch\nopen({str(mark)!r}, 'w')\nclass Net(torch.nn.Conv3d):\n    pass\n"
    )
    changed(folder, {"network_def": {**NETWORK, "_target_": "scripts.net.Net"}})


def _named_package(folder: Path, mark: Path) -> None:
    (folder / "scripts").mkdir()
    (folder / "scripts" / "__init__.py").write_text(f"open({str(mark)!r}, 'w')\n")
    (folder / "scripts" / "net.py").write_text("from torch.nn import Conv3d as Net\n")
    changed(folder, {"network_def": {**NETWORK, "_target_": "scripts.net.Net"}})


def _imported(folder: Path, mark: Path) -> None:
    _named_script(folder, mark)
    changed(folder, {"imports": ["$import torch", "$import scripts.net"]})


def _vendored(folder: Path, mark: Path) -> None:
    """A copy of medvol's network under scripts/medvol, with a line more."""
    place = folder / "scripts" / "medvol" / "v0_1_0_12ab34cd" / "networks"
    place.mkdir(parents=True)
    for name in ("__init__.py", "resunet.py", "layers.py"):
        (place / name).write_bytes((MEDVOL / "networks" / name).read_bytes())
    with (place / "resunet.py").open("a") as file:
        file.write(f"\nopen({str(mark)!r}, 'w')\n")
    target = "scripts.medvol.v0_1_0_12ab34cd.networks.resunet.ResUNet"
    changed(folder, {"network_def#_target_": target})


def _state_dict(mark: Path, *, as_zip: bool) -> bytes:
    path = mark.with_name("weights.tmp")
    state = {"weight": torch.ones(4, 1, 1, 1, 1), "bias": Marks(mark)}
    torch.save(state, path, _use_new_zipfile_serialization=as_zip)
    content = path.read_bytes()
    path.unlink()
    return content


def _objects(mark: Path) -> bytes:
    path = mark.with_name("weights.npz")
    array = np.empty(1, dtype=object)
    array[0] = Marks(mark)
    np.savez(path, values=array)
    content = path.read_bytes()
    path.unlink()
    return content


def _pickled_member(mark: Path) -> bytes:
    path = mark.with_name("weights.npz")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("values.npy", pickle.dumps(Marks(mark)))
    content = path.read_bytes()
    path.unlink()
    return content


class Writes(torch.nn.Module):
    """A network that writes its input to the mark when it is run."""

    def __init__(self, mark: str) -> None:
        super().__init__()
        self.mark = mark

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, self.mark)
        return x


def _torchscript(mark: Path) -> bytes:
    path = mark.with_name("weights.ts")
    torch.jit.save(torch.jit.script(Writes(str(mark))), path)
    content = path.read_bytes()
    path.unlink()
    return content


def _used_torchscript(folder: Path, mark: Path) -> None:
    path = folder / "models" / "model.ts"
    path.write_bytes(_torchscript(mark))
    given = f"$torch.jit.load({str(path)!r})(torch.ones(1))"
    changed(folder, {"network_def": given})


def link(path: str, to: str) -> Hostile:
    """A link in the bundle."""

    def what(folder: Path, _: Path) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).unlink(missing_ok=True)
        (folder / path).symlink_to(to)

    return Hostile(what, "link")


def _pipe(folder: Path, _: Path) -> None:
    os.mkfifo(folder / "models" / "extra.pt")


def _pipe_config(folder: Path, _: Path) -> None:
    os.mkfifo(folder / "configs" / "extra.json")


def _logging(folder: Path, mark: Path) -> None:
    (folder / "configs" / "logging.conf").write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=a\n[formatters]\nkeys=\n[logger_root]\n"
        "level=INFO\nhandlers=a\n[handler_a]\nclass=StreamHandler\n"
        f"args=(open({str(mark)!r}, 'w'),)\n"
    )


CASES = {
    f"file {name}": case
    for name, case in {
        "of a network in scripts": Hostile(_named_script, "scripts", "B", alive=""),
        "of a package in scripts": Hostile(_named_package, "scripts", "B", alive=""),
        "of a script in imports": Hostile(_imported, "scripts", "B", alive=""),
        "of medvol's own, changed": Hostile(_vendored, "not what this medvol", "B"),
        "numpy.py": code("numpy.py", reason="place of numpy"),
        "json.py": code("json.py", reason="place of json"),
        "torch as a package": code("torch/__init__.py", reason="place of torch"),
        "medvol.py": code("medvol.py", reason="place of medvol"),
        "scripts/monai.py": code("scripts/monai.py", reason="place of monai"),
        "sitecustomize.py": code("sitecustomize.py", reason="every start"),
        "usercustomize.py": code("scripts/usercustomize.py", reason="every start"),
        "conftest.py": code("conftest.py", reason="tools run"),
        "setup.py": code("setup.py", reason="tools run"),
        "hubconf.py": code("hubconf.py", reason="code of the bundle's own", level="B"),
        "with os.system": code(
            "scripts/a.py", more="import os\nos.system('true')\n", reason="os.system"
        ),
        "with eval": code("scripts/a.py", more="eval('1')\n", reason="eval"),
        "that is not Python": put("scripts/a.py", lambda _: b"def f(:", reason="read as Python"),
        "of paths": put(
            "evil.pth",
            lambda m: f"import os; os.system('touch {m}')\n".encode(),
            reason="every start",
        ),
        "of compiled Python": put("scripts/net.pyc", lambda _: b"\xa7\r\r\n", reason="nothing can"),
        "of compiled Python in a cache": put(
            "scripts/__pycache__/net.cpython-311.pyc",
            lambda _: b"\xa7\r\r\n",
            reason="never uses",
            level="B",
        ),
        "of machine code": put("scripts/net.so", lambda _: b"\x7fELF", reason="nothing can"),
        "of machine code as a text": put(
            "docs/notes.txt", lambda _: b"\x7fELF\x02", reason="nothing can"
        ),
        "of a shell script": put(
            "run.sh", lambda m: f"touch {m}\n".encode(), level="B", reason="never runs it"
        ),
        "of weights that are a pickle": put(
            "models/model.pt", lambda m: pickle.dumps(Marks(m)), reason="posix.system|os.system"
        ),
        "of weights with a call": put(
            "models/model.pt", lambda m: _state_dict(m, as_zip=True), reason="system"
        ),
        "of old weights with a call": put(
            "models/model.pt", lambda m: _state_dict(m, as_zip=False), reason="system"
        ),
        "of a gate with a call": put(
            "models/slice_gate/weights.pt", lambda m: _state_dict(m, as_zip=True), reason="system"
        ),
        "of likeness with objects": put("models/likeness.npz", _objects, reason="Python objects"),
        "of likeness with a pickle": put("models/likeness.npz", _pickled_member, reason="pickle"),
        "of TorchScript as weights": put("models/model.pt", _torchscript, reason="save"),
        "of TorchScript that is used": Hostile(_used_torchscript, "save", alive="network_def"),
        "that is an archive": put(
            "docs/more.zip", lambda _: b"PK\x03\x04", level="B", reason="was not looked at"
        ),
        "of settings of logging": Hostile(_logging, "medvol ignores it", "B"),
        "that is a link": link("docs/data_license.txt", "/etc/passwd"),
        "that is a link in place of a config": link("configs/train.json", "/etc/passwd"),
        "that is a link in place of weights": link("models/model.pt", "/dev/zero"),
        "that is a link to a folder": link("golden", "/etc"),
        "that is a pipe": Hostile(_pipe, "neither a file nor"),
        "that is a pipe in place of a config": Hostile(_pipe_config, "neither a file nor"),
        "with a name that turns": put("docs/gpj\u202e.md", lambda _: b"x", reason="not seen"),
        "with a name of two lines": put("docs/a\nE_OK.md", lambda _: b"x", reason="not seen"),
        "with a name in two spellings": put(
            "LICENCE/../license", lambda _: b"x", reason="place of the other"
        ),
    }.items()
}
