# SPDX-License-Identifier: Apache-2.0
"""A bundle of several networks: its answer is the mean of theirs, and other weights are refused."""

import json
from pathlib import Path

import pytest
import torch
from refusals import refused_by

from medvol.bundle.spec import read_spec
from medvol.cli import main
from medvol.engine.configured import configured
from medvol.networks.resunet import ResUNet
from medvol.networks.weights import load_weights, with_record
from medvol.search.averaged_bundle import averaged_bundle
from medvol.trained import Trained

LIKE = "covid_ct_lesion_3d"
CPU = torch.device("cpu")


def weights_of(path: Path, seed: int, trained: Trained) -> ResUNet:
    torch.manual_seed(seed)
    network = configured(read_spec(LIKE), CPU).build("network_def")
    torch.save(with_record(network.state_dict(), trained), path)
    made: ResUNet = network.eval()
    return made


def test_the_mean_of_two_is_the_answer_of_their_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = read_spec(LIKE).trained
    files = [tmp_path / "one.pt", tmp_path / "two.pt"]
    one, two = (weights_of(path, seed, trained) for seed, path in enumerate(files))
    folder = tmp_path / "of_two"
    assert main(["bundle", "new", str(folder), "--from", LIKE, "--weights", *map(str, files)]) == 0
    assert "Train it" not in capsys.readouterr().out
    spec = read_spec(folder)
    network = configured(spec, CPU).build("network")
    load_weights(spec.weights, network, names=spec.output_names)
    x = torch.rand(1, 1, 16, 16, 8)
    with torch.inference_mode():
        found = network.eval()(x).softmax(1)
        expected = (one(x).softmax(1) + two(x).softmax(1)) / 2
    torch.testing.assert_close(found, expected)
    assert network.settings == {"networks": 2}
    metadata = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["weights_record"]["sha256"] == spec.weights_sha256
    assert metadata["chain_fingerprint"] == trained.chain_fingerprint
    assert metadata["description"].startswith(f"The mean of 2 networks of {LIKE}.")
    assert "eval_metrics" not in metadata


def test_weights_of_something_else_are_refused_and_nothing_is_made(tmp_path: Path) -> None:
    trained = read_spec(LIKE).trained
    files = [tmp_path / "one.pt", tmp_path / "two.pt"]
    weights_of(files[0], 0, trained)
    for other, code in [
        (with_record(ResUNet(3, 1, 4, features=(4, 8)).state_dict(), trained), "E_BUNDLE"),
        (with_record({}, trained._replace(names=("lung",))), "E_LABELS"),
        (with_record({}, trained._replace(chain_fingerprint="0" * 16)), "E_BUNDLE"),
    ]:
        torch.save(other, files[1])
        error = refused_by(
            lambda: averaged_bundle(tmp_path / "mean", like=LIKE, weights=files), code
        )
        assert error.path == str(files[1])
    with pytest.raises(ValueError, match="give two files or more"):
        averaged_bundle(tmp_path / "mean", like=LIKE, weights=files[:1])
    assert not (tmp_path / "mean").exists()
