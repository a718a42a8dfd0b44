# SPDX-License-Identifier: Apache-2.0
"""What runs a network: what is asked for, what was measured and kept, or torch."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from medvol.bundle.places import home_folder
from medvol.bundle.spec import Spec, read_spec
from medvol.engine.backends import by_openvino
from medvol.engine.backends.automatic import UNKNOWN
from medvol.engine.backends.by_torch import TorchBackend, is_channels_last
from medvol.engine.backends.candidates import candidates
from medvol.engine.backends.choose import (
    choose_backend,
    keeper,
    remembered_backend,
    remembered_choice,
)
from medvol.engine.backends.facts import cores
from medvol.engine.backends.remembered import LIST, Choice, key_of, recall, remember
from medvol.engine.settings import EngineSettings
from medvol.errors import InputError

CPU = ("torch", "torch-channels-last", "openvino")
FASTEST = Choice("torch-channels-last", {"torch": 0.2, "torch-channels-last": 0.1}, {}, (1, 8, 8))


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spec:
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path))
    return read_spec("chest_xray_pneumonia")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1)).eval()


def own_key(spec: Spec) -> str:
    return key_of(spec, threads=cores(), device="cpu", precision=None)


def test_without_a_measurement_it_is_torch_and_nothing_is_kept(spec: Spec) -> None:
    assert remembered_backend(spec, EngineSettings(), device="cpu", precision=None) == "torch"
    chosen = choose_backend(network(), precision="fp32")
    assert (chosen.backend.name, chosen.why) == ("torch", UNKNOWN)
    assert [*home_folder().iterdir()] == []


def test_what_was_measured_is_taken_under_the_same_conditions_only(spec: Spec) -> None:
    remember(own_key(spec), FASTEST)
    engine = EngineSettings()
    assert remembered_backend(spec, engine, device="cpu", precision=None) == FASTEST.backend
    assert remembered_backend(spec, engine, device="cpu", precision="bf16") == "torch"
    other = EngineSettings(threads=cores() + 1)
    assert remembered_backend(spec, other, device="cpu", precision=None) == "torch"
    stock = EngineSettings(stock=True)
    assert remembered_backend(spec, stock, device="cpu", precision=None) == "torch"
    asked = EngineSettings("openvino")
    assert remembered_backend(spec, asked, device="cpu", precision=None) == "openvino"
    choice = remembered_choice(spec, engine, device="cpu", precision=None)
    chosen = choose_backend(network(), precision="fp32", choice=choice)
    assert chosen.backend.name == "torch-channels-last"
    assert chosen.why == "measured: torch-channels-last 0.1 s a window, torch 0.2 s"


def test_what_is_measured_in_a_run_is_kept_for_the_next(spec: Spec) -> None:
    engine, about = EngineSettings(threads=3), {"device": "cpu", "precision": "bf16"}
    keeper(spec, engine, **about)(FASTEST)
    assert remembered_choice(spec, engine, **about) == FASTEST
    assert remembered_choice(spec, EngineSettings(threads=2), **about) is None


def test_a_damaged_list_is_as_none(spec: Spec) -> None:
    key = own_key(spec)
    alone = Choice("openvino", {"openvino": 0.1}, {}, (1, 8, 8))  # and torch was not measured
    for text in (
        json.dumps({key: alone.as_json()}),
        "",
        "[]",
        f'{{"{key}": {{"backend": "torch"}}}}',
        f'{{"{key}": 3}}',
    ):
        (home_folder() / LIST).write_text(text)
        assert recall(key) is None
    remember(key, FASTEST)
    assert recall(key) == FASTEST


def test_what_is_asked_for_runs_or_is_refused() -> None:
    for name in CPU:
        chosen = choose_backend(network(), precision="fp32", engine=EngineSettings(name))
        assert (chosen.backend.name, chosen.why) == (name, "asked for")
        chosen.backend.close()


def test_a_choice_of_another_machine_is_obeyed_or_refused(
    spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is remembered here, and as JSON gives it back."""
    remember(own_key(spec), FASTEST)
    elsewhere = Choice("openvino", {"torch": 0.3, "openvino": 0.1}, {}, (1, 8, 8))
    engine = EngineSettings(choice=json.loads(json.dumps(elsewhere.as_json())))
    assert remembered_backend(spec, engine, device="cpu", precision=None) == "openvino"
    assert remembered_choice(spec, engine, device="cpu", precision=None) is None
    chosen = choose_backend(network(), precision="fp32", engine=engine)
    assert chosen.backend.name == "openvino"
    assert chosen.why == "asked for, measured: openvino 0.1 s a window, torch 0.3 s"
    chosen.backend.close()
    monkeypatch.setattr(by_openvino, "lacks", lambda *_: "it is gone.")
    with pytest.raises(InputError, match=r"E_BUNDLE.*it is gone"):
        choose_backend(network(), precision="fp32", engine=engine)


def test_what_is_no_choice_is_refused() -> None:
    with pytest.raises(ValueError, match="names none of torch"):
        EngineSettings(choice={"backend": "auto"})
    row = FASTEST.as_json()
    for options in ({"backend": "torch"}, {"stock": True}):
        with pytest.raises(ValueError, match="beside another, or stock"):
            EngineSettings(choice=row, **options)  # type: ignore[arg-type]
    for lacking in ("seconds", "shape", "left_out"):
        engine = EngineSettings(choice={x: y for x, y in row.items() if x != lacking})
        with pytest.raises(ValueError, match="is not what `medvol bundle backends --json` prints"):
            choose_backend(network(), precision="fp32", engine=engine)
    again = EngineSettings(choice=row)
    assert EngineSettings(threads=2).over(again.asked).choice == row
    assert EngineSettings("torch").over(again.asked).asked == {"backend": "torch"}
    assert again.over({"backend": "torch", "threads": 1}).asked == {"choice": row, "threads": 1}


def test_openvino_that_was_measured_and_cannot_run_now_gives_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(by_openvino, "lacks", lambda *_: "it is gone.")
    choice = Choice("openvino", {"openvino": 0.1}, {}, (1, 8, 8))
    chosen = choose_backend(network(), precision="fp32", choice=choice)
    assert (chosen.backend.name, chosen.why) == ("torch", "it is gone")


def test_channels_last_runs_a_copy_with_the_same_scores() -> None:
    own = network()
    window = torch.rand(2, 2, 9, 7, generator=torch.Generator().manual_seed(0))
    backend = TorchBackend(own, "fp32", channels_last=True)
    assert is_channels_last(backend.network)
    assert not is_channels_last(own)
    torch.testing.assert_close(backend(window), own(window), rtol=0, atol=1e-6)
    backend.close()


def test_a_network_that_is_channels_last_already_is_not_tried_twice() -> None:
    assert [*candidates(network(), "fp32")] == [*CPU]
    turned: nn.Module = network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert [*candidates(turned, "fp32")] == ["torch", "openvino"]
