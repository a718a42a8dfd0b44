# SPDX-License-Identifier: Apache-2.0
"""OpenVINO gives the scores of torch, window by window, or does not run."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.data import MetaTensor
from monai.networks.nets import UNet
from torch import Tensor, nn

from medvol.engine.backends import by_openvino
from medvol.engine.backends.agreement import TOLERANCE, difference
from medvol.engine.backends.by_openvino import OpenvinoBackend, lacks
from medvol.engine.backends.by_torch import TorchBackend
from medvol.errors import InputError
from medvol.networks.resunet import ResUNet


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path))


def small() -> nn.Module:
    torch.manual_seed(0)
    return UNet(2, 1, 3, (4, 8), (2,), norm="batch").eval()


def windows(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (small, (3, 1, 16, 24)),
        (lambda: ResUNet(3, 1, 4, features=(4, 8), norm="batch").eval(), (3, 1, 9, 7, 5)),
    ],
    ids=["UNet", "ResUNet of odd sizes"],
)
def test_scores_are_those_of_torch_in_any_batch(
    make: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    network, given = make(), windows(*shape)
    backend = OpenvinoBackend(network, "fp32")
    with torch.inference_mode():
        found, expected = backend(given), network(given)
        alone = torch.cat([backend(window) for window in given.split(1)])
    backend.close()
    assert found.dtype == torch.float32
    assert difference(found, expected) < 1e-5
    assert torch.equal(found, alone)


def test_scores_stay_as_they_were_when_the_next_are_computed() -> None:
    backend = OpenvinoBackend(small(), "fp32")
    with torch.inference_mode():
        first = backend(windows(2, 1, 16, 16))
        before = first.clone()
        assert not torch.equal(backend(1 - windows(2, 1, 16, 16)), before)
    backend.close()
    assert torch.equal(first, before)


class Places(nn.Module):
    """Answers with numbers that are not float32."""

    def forward(self, given: Tensor) -> Tensor:
        return given.argmax(1, keepdim=True)


def test_an_answer_of_another_type_is_refused() -> None:
    with pytest.raises(InputError, match="its answer is not float32"):
        OpenvinoBackend(Places(), "fp32")(windows(1, 3, 16, 16))


def test_a_metatensor_and_a_view_are_taken_and_another_shape_too() -> None:
    network = small()
    backend = OpenvinoBackend(network, "fp32")
    with torch.inference_mode():
        for given in (MetaTensor(windows(1, 1, 16, 16)), windows(1, 1, 24, 16).transpose(2, 3)):
            expected = network(torch.as_tensor(given).as_subclass(Tensor))
            assert difference(backend(given), expected) < 1e-5
    backend.close()


def test_the_compiled_network_is_kept_and_a_damaged_one_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, given = small(), windows(1, 1, 16, 16)
    conversions: list[Any] = []
    original = OpenvinoBackend._converted

    def counted(self: OpenvinoBackend, shape: tuple[int, ...]) -> Any:
        conversions.append(shape)
        return original(self, shape)

    monkeypatch.setattr(OpenvinoBackend, "_converted", counted)
    first = OpenvinoBackend(network, "fp32")(given)
    assert torch.equal(OpenvinoBackend(network, "fp32")(given), first)
    assert len(conversions) == 1
    with torch.no_grad():
        next(network.parameters()).mul_(2)
    assert not torch.equal(OpenvinoBackend(network, "fp32")(given), first)
    assert len(conversions) == 2  # other weights

    monkeypatch.setattr(by_openvino, "compiled", lambda key, make: b"not a network")  # noqa: ARG005
    OpenvinoBackend(network, "fp32")(given)
    assert len(conversions) == 3


def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on OpenVINO is wrong by little more than it may be."""
    original = by_openvino._answers

    def wrong(queue: Any, given: Tensor) -> Tensor:
        scores = original(queue, given)
        return scores + 1.1 * TOLERANCE["fp32"] * scores.abs().max()

    monkeypatch.setattr(by_openvino, "_answers", wrong)


def test_wrong_scores_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch)
    with pytest.raises(InputError, match=r"its scores differ by 0.00022 of the largest.*torch"):
        OpenvinoBackend(small(), "fp32")(windows(1, 1, 16, 16))


def test_where_it_was_not_asked_for_torch_steps_in(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch)
    network, given = small(), windows(2, 1, 16, 16)
    backend = OpenvinoBackend(network, "fp32", strict=False)
    assert torch.equal(backend(given), TorchBackend(network, "fp32")(given))
    assert "differ" in backend.settings["torch_stepped_in"]


class Odd(nn.Module):
    """A network that OpenVINO cannot convert: it leaves torch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)

    def forward(self, given: Tensor, scale: float = 1) -> Tensor:
        if not given.any():  # such as the zeros that it would be traced with
            raise RuntimeError("nothing is there")
        return self.conv(given) * scale


def test_a_network_that_cannot_be_converted_is_refused_with_the_reason() -> None:
    with pytest.raises(InputError, match="it cannot be converted"):
        OpenvinoBackend(Odd().eval(), "fp32")(windows(1, 1, 8, 8))


def test_a_network_that_is_given_more_than_windows() -> None:
    network, given = Odd().eval(), windows(1, 1, 8, 8)
    with pytest.raises(InputError, match="more than windows"):
        OpenvinoBackend(network, "fp32")(given, scale=2)
    found = OpenvinoBackend(network, "fp32", strict=False)(given, scale=2)
    torch.testing.assert_close(found, network(given, scale=2))


def test_nobody_is_told_of_it() -> None:
    """OpenVINO's own package for that sends what is converted to its makers, unasked."""
    OpenvinoBackend(small(), "fp32")(windows(1, 1, 8, 16))
    assert [name for name in sys.modules if name.startswith("openvino_telemetry.")] == []


def test_the_log_of_the_program_goes_on_as_it_was() -> None:
    """OpenVINO's converter raises the root log to errors, and filters it."""
    root = logging.getLogger()
    before = root.level, [*root.filters], [*root.handlers]
    OpenvinoBackend(small(), "fp32")(windows(1, 1, 8, 24))
    with pytest.raises(InputError, match="it cannot be converted"):
        OpenvinoBackend(Odd().eval(), "fp32")(windows(1, 1, 8, 8))
    assert (root.level, root.filters, root.handlers) == before


def test_where_it_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lacks("cpu", "fp32") == lacks("cpu", "bf16") == ""
    assert lacks("cuda", "fp32") == "OpenVINO runs networks on the CPU, not on cuda."
    assert lacks("cpu", "fp16") == "OpenVINO computes in fp32, bf16, not in fp16."

    def missing(package: str) -> str:
        raise by_openvino.PackageNotFoundError(package)

    monkeypatch.setattr(by_openvino, "version", missing)
    with pytest.raises(InputError, match=r"openvino is not installed.*pip install 'medvol\[cpu\]'"):
        OpenvinoBackend(small(), "fp32")
