# SPDX-License-Identifier: Apache-2.0
"""Weights are judged by what is in them, and never loaded."""

import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._weights_only_unpickler import _get_allowed_globals  # type: ignore[attr-defined]

from medvol.audit.pickles import PickleError, pickled_names
from medvol.audit.verdict import Level
from medvol.audit.weights import _TENSOR_NAMES, judge_weights


class Fires:
    """Loading it creates a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (str(self.marker), "w")


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "fired"


def judged(path: Path) -> tuple[str, str, str]:
    level, kind, reason = judge_weights(path)
    return level.value, kind, reason


@pytest.mark.parametrize("as_zip", [True, False])
def test_a_state_dict_is_tensors_only(tmp_path: Path, as_zip: bool) -> None:
    path = tmp_path / "model.pt"
    state = torch.nn.Conv3d(1, 2, 3).state_dict()
    torch.save({"model": state, "half": torch.ones(2).half(), "epoch": 3}, path,
               _use_new_zipfile_serialization=as_zip)  # fmt: skip
    assert judged(path) == ("A", "PyTorch weights", "tensors and containers only")


@pytest.mark.parametrize("as_zip", [True, False])
def test_a_call_hidden_among_tensors_is_named(tmp_path: Path, marker: Path, as_zip: bool) -> None:
    path = tmp_path / "model.pt"
    state = {"weight": torch.ones(2), "hook": Fires(marker)}
    torch.save(state, path, _use_new_zipfile_serialization=as_zip)
    level, kind, reason = judged(path)
    assert (level, kind) == ("C", "PyTorch pickle")
    assert reason == "loading it calls io.open, not tensors only"
    assert not marker.exists()


def test_a_whole_module_is_not_a_state_dict(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(torch.nn.Conv3d(1, 2, 3), path)
    assert judged(path)[0] == "C"
    assert "torch.nn.modules.conv.Conv3d" in judged(path)[2]


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_is_never_weights(tmp_path: Path, marker: Path, protocol: int) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps(Fires(marker), protocol=protocol))
    level, kind, reason = judged(path)
    assert (level, kind) == ("C", "pickle")
    assert reason in ("it calls io.open", "it calls _io.open")
    path.write_bytes(pickle.dumps({"a": 1}, protocol=protocol))
    assert judged(path)[0] == "C"


def test_names_that_torch_loads_safely_are_a_part_of_its_own_list() -> None:
    own = set(_get_allowed_globals())
    for name in ("torch._utils._rebuild_tensor_v2", "torch.FloatStorage", "torch.bfloat16"):
        assert _TENSOR_NAMES.fullmatch(name)
        assert name in own
    for name in (
        "torch.float_power",
        "torch.load",
        "torch._utils._import_dotted_name",
        "os.system",
    ):
        assert not _TENSOR_NAMES.fullmatch(name)
    strange = {n for n in own if n.startswith("torch.") and n.endswith("Storage")}
    assert strange
    assert all(_TENSOR_NAMES.fullmatch(name) for name in strange)


def test_a_name_put_together_by_the_memo_is_found_or_refused() -> None:
    # the texts lie in the memo, something else is pushed and popped in between
    hidden = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93."
    assert pickled_names(hidden) == {"os.system"}
    with pytest.raises(PickleError, match="puts together a name"):
        pickled_names(b"\x80\x04\x8c\x02os\x8c\x06system200\x93.")
    with pytest.raises(PickleError, match="by a number"):
        pickled_names(b"\x80\x02\x82\x01.")
    with pytest.raises(PickleError, match="not a whole pickle"):
        pickled_names(b"\x80\x02(K\x01")


def test_only_what_would_be_loaded_is_read() -> None:
    first, second = pickle.dumps(1, 0), pickle.dumps(OrderedDict(), 0)
    assert pickled_names(first + second) == set()
    assert pickled_names(first + second, pickles=2) == {"collections.OrderedDict"}


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # what it warns of is meant
def test_torchscript_is_code_and_writes_no_file(tmp_path: Path) -> None:
    class Plain(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1

    class Writes(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch.save(x, "/tmp/never-written")
            return x

    path = tmp_path / "model.ts"
    torch.jit.save(torch.jit.script(Plain()), path)
    assert judged(path) == (
        "B", "TorchScript", "it holds a program of its own; medvol never runs it",
    )  # fmt: skip
    torch.jit.save(torch.jit.script(Writes()), path)
    assert judged(path) == ("C", "TorchScript", "its program calls save, on files")


@pytest.mark.parametrize(
    ("array", "level"), [(np.ones(3), "A"), (np.array([{"a": 1}], dtype=object), "C")]
)
def test_arrays_hold_numbers_only(tmp_path: Path, array: Any, level: str) -> None:
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", array)
    assert judged(tmp_path / "a.npy")[0] == level
    assert judged(tmp_path / "a.npz")[0] == level


def test_a_pickle_in_an_npz_is_seen(tmp_path: Path, marker: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", pickle.dumps(Fires(marker)))
    assert judged(path) == ("C", "NumPy arrays", "a.npy in it is a pickle or no array")


def safetensors(header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + data


@pytest.mark.parametrize(
    ("header", "data", "reason"),
    [
        ({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"0000", ""),
        ({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"00000", "do not fill"),
        ({"w": {"dtype": "F32", "shape": [1], "data_offsets": [2, 4]}}, b"0000", "a gap"),
        ({"w": {"dtype": "F32"}}, b"0000", "it lacks 'data_offsets'"),
        (b'{"w": {"data_offsets": [0, 4]}, "w": {"data_offsets": [0, 4]}}', b"0000", "twice"),
        (b"[]", b"", "pop"),
        (b"no json", b"", "Expecting"),
    ],
)
def test_safetensors_have_a_true_header(
    tmp_path: Path, header: Any, data: bytes, reason: str
) -> None:
    path = tmp_path / "model.safetensors"
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(safetensors(raw, data))
    level, kind, said = judged(path)
    assert kind == "safetensors"
    assert (level == "A") == (reason == "")
    assert reason in said


@pytest.mark.parametrize(
    ("place", "level"), [("weights.bin", "A"), ("../../secret", "C"), ("/etc/passwd", "C")]
)
def test_onnx_takes_its_tensors_from_beside_it(tmp_path: Path, place: str, level: str) -> None:
    path = tmp_path / "model.onnx"
    value = place.encode()
    entry = b"\x0a\x08location\x12" + bytes([len(value)]) + value
    path.write_bytes(b"\x08\x07" + b"\x6a" + bytes([len(entry)]) + entry)
    assert judged(path)[0] == level
    turned = b"\x12" + bytes([len(value)]) + value + b"\x0a\x08location"
    path.write_bytes(b"\x08\x07" + b"\x6a" + bytes([len(turned)]) + turned)
    assert judged(path)[0] == "C"  # nothing writes it so


def test_two_names_in_one_archive_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"w": torch.ones(2)}, path)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr(archive.namelist()[0], b"")
    assert judged(path) == ("C", "zip", "two files in it have one name")


@pytest.mark.parametrize(
    ("name", "content", "level", "kind"),
    [
        ("a.engine", b"ftrt", "B", "TensorRT engine"),
        ("a.pt", b"", "A", "empty"),
        ("a.pt", b"version https://git-lfs.github.com/spec/v1\noid", "A", "pointer of Git LFS"),
        ("a.pt", b"\x00\x01\x02", "B", "unknown"),
        ("a.pt", b"PK\x03\x04 cut", "C", "zip"),
        ("a.npy", b"\x93NUMPY\x01\x00\x05\x00{'a'}", "C", "NumPy array"),
    ],
)
def test_other_content(tmp_path: Path, name: str, content: bytes, level: str, kind: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert judged(tmp_path / name)[:2] == (level, kind)
    assert Level(level) in Level
