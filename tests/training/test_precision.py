"""Which precision a training takes: the fastest that computes the same, and never one for ever."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedTrainer
from monai.inferers import SimpleInferer
from torch import Tensor, nn

from medvol.inferers.precision import PrecisionInferer
from medvol.training import precision
from medvol.training.checkpoint import Resume, read_checkpoint
from medvol.training.precision import Candidate, ChoosePrecision, Tried, try_all


class Clock:
    """Time that passes in layers alone, so that no other process takes part."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


CLOCK = Clock()
LAYER_S = 0.01  # that a layer takes at least


@pytest.fixture(autouse=True)
def _time_passes_in_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "time", CLOCK)


class Odd(nn.Module):
    """Three convolutions that are slow, or wrong, in one of the two precisions."""

    def __init__(self, *, slow: str = "", wrong: str = "", seconds: float = 0.1) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(Layer(slow, seconds) for _ in range(3)), nn.Dropout(0.5))
        self.head = nn.Conv2d(2, 2, 1)
        self.norm = nn.BatchNorm2d(2)
        self.wrong = wrong

    def forward(self, x: Tensor) -> Tensor:
        scores = self.head(self.norm(self.layers(x)))
        if not torch.is_autocast_enabled("cpu"):
            return scores
        if self.wrong == "gradient":
            return 2 * scores.detach() - scores
        return scores * {"": 1.0, "nan": float("nan"), "loss": 1.5}[self.wrong]


class Layer(nn.Conv2d):
    def __init__(self, slow: str, seconds: float) -> None:
        super().__init__(2, 2, 3, padding=1)
        self.slow, self.seconds = slow, seconds

    def forward(self, x: Tensor) -> Tensor:
        now = "bf16" if torch.is_autocast_enabled("cpu") else "fp32"
        CLOCK.now += LAYER_S + (self.seconds if self.slow == now else 0.0)
        return super().forward(x)


def square(scores: Tensor, targets: Tensor) -> Tensor:
    return ((scores - targets) ** 2).mean()


def tried(network: nn.Module) -> list[Tried]:
    torch.manual_seed(0)
    return try_all(network, torch.randn(4, 2, 8, 8), torch.ones(4, 2, 8, 8), square)


def test_bfloat16_is_taken_where_it_is_faster() -> None:
    found = tried(Odd(slow="fp32", seconds=0.05))
    assert [t.candidate for t in found] == [
        Candidate("fp32", True), Candidate("fp32", False), Candidate("bf16", True),
        Candidate("bf16", False),
    ]  # fmt: skip
    assert [t.refused for t in found] == [""] * 4
    assert precision.fastest(found).precision == "bf16"


class DepthWise(Odd):
    """Fast in bfloat16 with the channels last alone, as depth-wise convolutions are on CPUs."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.head.weight.is_contiguous(memory_format=torch.channels_last)
        weight &= self.layers[0].weight.is_contiguous(memory_format=torch.channels_last)
        if not (weight and torch.is_autocast_enabled("cpu")):
            CLOCK.now += 0.5
        return super().forward(x)


def test_a_depth_wise_network_gets_bfloat16_with_the_channels_last(tmp_path: Path) -> None:
    """Neither of both alone is faster, so all four are tried; a training that goes on keeps it."""
    found = tried(DepthWise())
    assert precision.fastest(found) == Candidate("bf16", True)
    assert {str(t.candidate) for t in found if t.seconds > 0.4} == {
        "fp32", "fp32 channels_last", "bf16"
    }  # fmt: skip
    made, inferer = trainer(tmp_path, "auto", network=DepthWise())
    made.run()
    record = json.loads((tmp_path / "precision.json").read_text())
    assert (record["precision"], record["channels_last"]) == ("bf16", True)
    again, inferer = trainer(tmp_path, "auto", epochs=2, network=Odd(slow="bf16"))
    again.run()
    assert inferer.precision == "bf16"
    weight = again.network.layers[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_what_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor without bfloat16: between two layers, and no other format is tried."""
    monkeypatch.setattr(precision, "PATIENCE_S", 0.2)
    found = tried(Odd(slow="bf16", seconds=0.5))
    assert [t.candidate.precision for t in found] == ["fp32", "fp32", "bf16"]
    assert found[-1].refused == "given up after 0.5 s"  # in the first of three layers
    assert precision.fastest(found).precision == "fp32"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("nan", "is not finite"),
        ("loss", "has another loss"),
        ("gradient", "has another gradient: cosine -1.00"),
    ],
)
def test_what_computes_something_else_is_refused(wrong: str, reason: str) -> None:
    found = tried(Odd(slow="fp32", wrong=wrong, seconds=0.05))
    assert [t.refused[: len(reason)] for t in found] == ["", "", reason, reason]
    assert precision.fastest(found).precision == "fp32"


class Deep(Odd):
    """Stochastic depth, as in EfficientNet: whole images leave a layer out, drawn in their type."""

    def forward(self, x: Tensor) -> Tensor:
        drawn = torch.rand((len(x), 1, 1, 1), dtype=self.layers[0](x).dtype, device=x.device)
        return super().forward(x) * (2 * (drawn < 0.5)).float()


def test_stochastic_depth_leaves_out_the_same_in_each_precision() -> None:
    """Else loss and gradient would be others by chance, and bfloat16 would be refused for that."""
    for seed in range(5):
        torch.manual_seed(seed)
        found = try_all(Deep(), torch.randn(8, 2, 8, 8), torch.ones(8, 2, 8, 8), square)
        assert [t.refused for t in found] == [""] * 4


def test_gradients_of_the_same_draws_are_compared_however_long_a_step_takes() -> None:
    """A quick candidate takes more steps than a slow one, each of which draws anew."""
    for seed in range(5):
        torch.manual_seed(seed)
        network = Deep(slow="fp32", seconds=0.2)
        found = try_all(network, torch.randn(2, 2, 8, 8), torch.ones(2, 2, 8, 8), square)
        assert [t.refused for t in found] == [""] * 4


class Twisted(nn.Module):
    """Scores x . w, whose gradient turns by `twist` along the second axis in bfloat16."""

    def __init__(self, twist: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.twist = twist

    def forward(self, x: Tensor) -> Tensor:
        more = self.twist * (self.weight - self.weight.detach())[1]
        return x @ self.weight + (more if torch.is_autocast_enabled("cpu") else 0.0)


@pytest.mark.parametrize(
    ("images", "twist", "refused"),
    [
        (4, 1.0, ""),  # gradients (1, 0) and (1, 1); of the halves (1, 1) and (1, -1), 2 apart
        (4, 3.0, "has another gradient: cosine 0.32"),
        (3, 1.0, "has another gradient: cosine 0.71"),  # halves too small to say anything
    ],
)
def test_rounding_may_turn_a_gradient_less_than_other_images_do(
    images: int, twist: float, refused: str
) -> None:
    inputs = torch.tensor([[1.0, 1.0]] * images + [[1.0, -1.0]] * images)
    found = try_all(Twisted(twist), inputs, torch.zeros(2 * images), lambda s, _: 1 + s.mean())
    assert [t.refused for t in found] == ["", refused]


def test_network_and_randomness_stay_as_they_are() -> None:
    network = Odd().eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(3)
    state = torch.get_rng_state()
    inputs = torch.ones(4, 2, 8, 8)
    try_all(network, inputs, inputs, square)
    assert torch.equal(torch.get_rng_state(), state)
    assert not network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert [p.grad for p in network.parameters()] == [None] * len(before_of(network))


def before_of(network: nn.Module) -> list[Any]:
    return [*network.parameters()]


def test_format_changes_no_value() -> None:
    network = nn.Sequential(nn.Conv3d(2, 3, 3), nn.Conv2d(3, 4, 3), nn.Linear(4, 2))
    before = [p.detach().clone() for p in network.parameters()]
    same = [*network.parameters()]
    precision.to_format(network, channels_last=True)
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert network[1].weight.is_contiguous(memory_format=torch.channels_last)
    for now, was, value in zip(network.parameters(), same, before, strict=True):
        assert now is was  # an optimizer knows it
        assert torch.equal(now, value)
    precision.to_format(network, channels_last=False)
    assert network[0].weight.is_contiguous()


def trainer(
    folder: Path, asked: str, *, epochs: int = 1, slow: str = "fp32", network: Odd | None = None
) -> tuple[SupervisedTrainer, PrecisionInferer]:
    torch.manual_seed(0)
    items = [{"image": torch.randn(2, 8, 8), "label": torch.ones(2, 8, 8)} for _ in range(4)]
    network = network or Odd(slow=slow, seconds=0.05)
    optimizer = torch.optim.SGD(network.parameters(), 0.01)
    inferer = PrecisionInferer(SimpleInferer(), asked)
    choice = ChoosePrecision(asked, [inferer], folder)
    objects = {"network": network, "optimizer": optimizer, "computing": choice}
    made = SupervisedTrainer(
        device="cpu", max_epochs=epochs, train_data_loader=DataLoader(Dataset(items), batch_size=4),
        network=network, optimizer=optimizer, loss_function=square, inferer=inferer,
        train_handlers=[Resume(folder / "last.pt", objects, chain_fingerprint="c"), choice],
    )  # fmt: skip
    return made, inferer


def test_the_choice_is_said_recorded_and_kept_on_resume(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, inferer = trainer(tmp_path, "auto")
    first.run()
    assert inferer.precision == "bf16"
    assert "precision: bf16" in capsys.readouterr().out
    record = json.loads((tmp_path / "precision.json").read_text())
    assert record["precision"] == "bf16"
    assert [t["precision"] for t in record["tried"]] == ["fp32", "fp32", "bf16", "bf16"]
    kept = read_checkpoint(tmp_path / "last.pt")["computing"]
    assert kept == {"precision": "bf16", "channels_last": record["channels_last"]}
    monkeypatch.setattr(precision, "try_all", None)  # raises where it is called
    again, inferer = trainer(tmp_path, "auto", epochs=2, slow="bf16")
    again.run()
    assert inferer.precision == "bf16"


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_what_a_recipe_says_is_done(
    asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "try_all", None)
    made, inferer = trainer(tmp_path, asked, slow="")
    made.run()
    assert inferer.precision == asked
    assert read_checkpoint(tmp_path / "last.pt")["computing"] == {}


def test_refuses(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="precision is 'fp8'; give one of auto, fp32, bf16, fp16"):
        ChoosePrecision("fp8", [], tmp_path)


def test_auto_is_float32_where_nothing_chooses() -> None:
    assert PrecisionInferer(SimpleInferer(), "auto").precision == "fp32"
