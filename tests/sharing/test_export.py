# SPDX-License-Identifier: Apache-2.0
"""Networks in other formats give the same scores, and their files name nobody."""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from tiny_bundle import tiny_brain_bundle, tiny_bundle
from torch import Tensor, nn
from trusted import trusted

from medvol.bundle.config import Config
from medvol.bundle.find import shipped_bundles
from medvol.bundle.spec import read_spec
from medvol.cli import main
from medvol.errors import InputError
from medvol.sharing import formats
from medvol.sharing.convert import Request, _difference, _networks, _written
from medvol.sharing.export import export
from medvol.sharing.formats import FORMATS, Axes, Format
from medvol.sharing.personal import personal_in
from medvol.sharing.who import Who

SIZES = {2: (48, 40), 3: (32, 48, 16)}  # multiples of what the networks need, and small


def needs(to: str) -> None:
    for package in FORMATS[to].packages:
        pytest.importorskip(package, reason=f"{package} is not installed")


def shipped_networks(name: str) -> Mapping[str, nn.Module]:
    folder = shipped_bundles()[name]
    path = folder / "configs" / "inference.json"
    return _networks(Config(path, bundle_root=str(folder), device="cpu"), read_spec(folder))


LIKE_ANOTHER = (
    "brain_mri_tumor", "chest_xray_covid", "chest_xray_pneumonia", "chest_xray_pneumonia_type",
    "covid_ct_lesion_25d",
)  # fmt: skip
LONG = {("covid_ct_lesion_3d", "torchscript"), ("covid_ct_lesion_3d", "onnx")}
EVERY = [
    pytest.param(
        name, to, marks=[pytest.mark.slow] if name in LIKE_ANOTHER or (name, to) in LONG else []
    )
    for name in shipped_bundles()
    for to in FORMATS
]


@pytest.mark.parametrize(("name", "to"), EVERY)
def test_every_network_gives_its_scores_in_every_format(name: str, to: str, tmp_path: Path) -> None:
    needs(to)
    image = json.loads((shipped_bundles()[name] / "configs" / "metadata.json").read_text())[
        "network_data_format"
    ]["inputs"]["image"]
    sizes = SIZES[len(image["spatial_shape"])]
    request = Request(shipped_bundles()[name], tmp_path, to, "net")
    for part, network in shipped_networks(name).items():
        channels = next(network.parameters()).shape[1]
        window = torch.rand(1, channels, *sizes, generator=torch.Generator().manual_seed(1))
        stem = "net" if part == "model" else "net_gate"

        row = _written(request, network, window, stem)

        assert row["largest_difference"] <= FORMATS[to].tolerance
        assert len(row["compared_at"]) == 3  # as it is, two at once, another size
        assert row["inputs"]["image"]["shape"] == ["batch", channels, *"xyz"[: len(sizes)]]
        assert row["outputs"]["pred"]["shape"][0] == "batch"
        path = tmp_path / f"{stem}{FORMATS[to].suffix}"
        assert row["sizes_are_multiples_of"] == (
            1 if len(sizes) == 2 or to == "torchscript" else 32
        )
        other = torch.rand(3, channels, *(32, 32, 32)[: len(sizes)])  # that nothing was compared on
        with torch.no_grad():
            assert torch.allclose(
                FORMATS[to].scores(path, other), network(other), rtol=0, atol=2e-3
            )
    assert [*personal_in(tmp_path, who=Who())] == []


def test_torchscript_holds_no_path_of_this_machine(tmp_path: Path) -> None:
    network = shipped_networks("chest_xray_covid")["model"]
    plain = io.BytesIO()
    torch.jit.save(torch.jit.script(network), plain)
    path = tmp_path / "net.ts"

    FORMATS["torchscript"].write(network, torch.rand(1, 1, 32, 32), path, Axes(True, 1), {"a": "b"})

    def holds_paths(file: Path | io.BytesIO) -> bool:
        with zipfile.ZipFile(file) as archive:
            return any(b"site-packages" in archive.read(name) for name in archive.namelist())

    assert holds_paths(plain)  # as torch writes it
    assert not holds_paths(path)
    texts = {"a": ""}
    torch.jit.load(path, _extra_files=texts)
    assert texts["a"] == b"b"


@pytest.mark.parametrize("to", FORMATS)
def test_network_and_gate_with_what_belongs_to_them(
    to: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs(to)
    bundle = trusted(tiny_brain_bundle(tmp_path / "tiny"))
    suffix = FORMATS[to].suffix

    assert main(["bundle", "export", str(bundle), "--to", to, "-o", str(tmp_path / "out")]) == 0

    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{tmp_path / 'out' / f'tiny{suffix}'} written" or to == "openvino"
    assert said[-1].startswith("scores differ by ")
    record = json.loads((tmp_path / "out" / "tiny.json").read_text())
    assert record["networks"].keys() == {"model", "gate"}
    assert record["networks"]["model"]["compared_on"] == "a phantom"
    assert record["networks"]["model"]["weights_sha256"] == read_spec(bundle).weights_sha256
    assert record["preprocessing"]["_target_"] == "medvol.chains.brain_mri"
    assert record["labels"] == {"1": "brain tumour"}
    assert record["gate"]["threshold"] == 0.5
    images = torch.rand(1, 3, 24, 20)
    gate = FORMATS[to].scores(tmp_path / "out" / f"tiny_gate{suffix}", images)
    expected = 100.0 * (images[:, 1] - images[:, 0]).amax() - 200.0  # as `brighter_in_flair` says
    assert gate.item() == pytest.approx(expected.item(), abs=1e-2)


def test_monai_reads_the_metadata_in_torchscript(tmp_path: Path) -> None:
    from monai.data import load_net_with_metadata

    bundle = trusted(tiny_bundle(tmp_path / "tiny"))
    made = export(bundle, tmp_path / "net.ts", to="torchscript")

    _, metadata, _ = load_net_with_metadata(str(tmp_path / "net.ts"))
    assert made.files == (tmp_path / "net.ts",)
    assert (
        metadata["network_data_format"]
        == json.loads((bundle / "configs" / "metadata.json").read_text())["network_data_format"]
    )


def test_images_of_which_there_is_no_phantom(tmp_path: Path) -> None:
    us = {"network_data_format#inputs#image#modality": "US"}
    made = export(
        trusted(tiny_bundle(tmp_path / "tiny", metadata=us)), tmp_path / "out", to="torchscript"
    )

    row = json.loads(made.record.read_text())["networks"]["model"]
    assert row["compared_on"] == "random numbers"
    assert made.difference <= made.tolerance


def test_what_is_there_is_not_replaced(tmp_path: Path) -> None:
    bundle = trusted(tiny_bundle(tmp_path / "tiny"))
    (tmp_path / "net.json").write_text("{}")

    with pytest.raises(InputError, match="it is there already") as refused:
        export(bundle, tmp_path / "net.ts", to="torchscript")

    assert refused.value.code == "E_OUTPUT"
    assert not (tmp_path / "net.ts").exists()


def test_other_scores_are_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FORMATS["torchscript"]
    wrong = Format(".ts", 1e-5, (), real.write, lambda path, x: real.scores(path, x) + 1)
    monkeypatch.setitem(FORMATS, "torchscript", wrong)
    bundle = trusted(tiny_bundle(tmp_path / "tiny"))

    with pytest.raises(InputError, match="its network gives other scores as torchscript"):
        export(bundle, tmp_path / "out", to="torchscript")

    assert not (tmp_path / "out").exists()


def test_a_size_that_a_format_cannot_take_is_fixed(tmp_path: Path) -> None:
    class Odd(nn.Module):
        """Its answer rests on a size that tracing takes for a constant."""

        def forward(self, images: Tensor) -> Tensor:
            return images * float(images.shape[-1])

    needs("onnx")
    request = Request(tmp_path, tmp_path, "onnx", "net_gate")

    row = _written(Request(*request[:3], "net"), Odd(), torch.rand(1, 1, 32, 32), "net_gate")

    assert row["inputs"]["image"]["shape"] == ["batch", 1, 32, 32]


def test_a_difference_is_a_share_of_the_largest_score(tmp_path: Path) -> None:
    form = Format(".x", 1.0, (), FORMATS["onnx"].write, lambda _, images: images * 100 + 1)

    class Hundred(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images * 100

    found = _difference(form, tmp_path, torch.ones(1, 1, 2, 2), Hundred())

    assert found == pytest.approx(0.01)


def test_a_package_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = FORMATS["onnx"]._replace(packages=("no_such_package",))
    monkeypatch.setitem(formats.FORMATS, "onnx", broken)

    words = ["bundle", "export", "chest_xray_covid", "--to", "onnx", "-o", str(tmp_path / "out")]

    assert main(words) == 2
    assert "pip install 'medvol[export]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_openvino_tells_nobody_that_it_is_used(tmp_path: Path) -> None:
    needs("openvino")
    script = (
        "import sys\n"
        "from medvol.engine.backends.openvino_core import openvino\n"
        "openvino()\n"
        "print([name for name in sys.modules if name.startswith('openvino_telemetry.')])\n"
    )
    home = {**os.environ, "HOME": str(tmp_path)}

    said = subprocess.run(
        [sys.executable, "-c", script], env=home, capture_output=True, text=True, check=True
    )

    assert said.stdout == "[]\n"
    assert [*tmp_path.iterdir()] == []  # where it keeps who was asked
