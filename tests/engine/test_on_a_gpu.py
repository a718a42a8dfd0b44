# SPDX-License-Identifier: Apache-2.0
"""A bundle of MONAI's parts on a GPU, with tensors that stand in for those of one: the same mask,
also when its memory ends."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from far import gpu
from phantoms import save_nifti, tiny_chest
from zoo_kinds import write_kind

from medvol.answer import Answer
from medvol.engine.backends.by_torch import TorchBackend
from medvol.engine.settings import EngineSettings
from medvol.tasks.task import load_bundle

SHORT = "GPU memory was short: "
STEPS = (
    "one window at a time.",
    "windows were stitched on the CPU.",
    "the volume stayed on the CPU.",
    "the network ran on the CPU.",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("gpu")
    write_kind("spleen_unet", made / "bundle")
    chest = tiny_chest(noise_hu=200)
    save_nifti(made / "chest.nii.gz", np.tile(chest.ct, (2, 1, 1)), chest.affine)
    return made


def predicted(folder: Path, device: str, backend: str = "torch") -> Answer:
    engine = EngineSettings(backend)
    loaded = load_bundle(folder / "bundle", device=device, engine=engine, trust=True)
    return loaded.predict(folder / "chest.nii.gz")


@pytest.fixture(scope="module")
def expected(folder: Path) -> Any:
    mask = predicted(folder, "cpu").mask
    assert mask is not None
    assert 0 < mask.sum() < mask.size
    return mask


@pytest.mark.parametrize("backend", ["auto", "torch-channels-last", "torch-graphs"])
def test_a_gpu_gives_the_mask_of_the_cpu(folder: Path, expected: Any, backend: str) -> None:
    with gpu():
        answer = predicted(folder, "cuda", backend)
    assert (answer.run.device, answer.run.remarks) == ("cuda", ())
    assert answer.run.settings["backend"] == ("torch" if backend == "auto" else backend)
    np.testing.assert_array_equal(answer.mask, expected)


@pytest.mark.parametrize("failures", [1, 2, 3, 4])
def test_down_each_step_of_its_memory_the_mask_is_the_same(
    folder: Path, expected: Any, failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first batch has no room, and in the tries behind it the second window."""
    run, calls = TorchBackend._one, [0]

    def short(self: TorchBackend, windows: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] % 2 and calls[0] < 2 * failures:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(self, windows, *args, **kwargs)

    monkeypatch.setattr(TorchBackend, "_one", short)
    with gpu():
        answer = predicted(folder, "cuda")
    assert [*answer.run.remarks] == [SHORT + step for step in STEPS[:failures]]
    np.testing.assert_array_equal(answer.mask, expected)
