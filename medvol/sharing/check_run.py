# SPDX-License-Identifier: Apache-2.0
"""A bundle's weights, its network, and one phantom all the way through its inference."""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from monai.bundle import ConfigParser, verify_net_in_out
from PIL import Image

from ..answer import Answer
from ..bundle.code import Code
from ..bundle.config import Config, literal
from ..bundle.parser import strict
from ..bundle.spec import read_spec
from ..data.phantoms.chest import chest_ct_phantom
from ..images.image import Kind
from ..images.writing import write_volume
from ..networks.weights import load_state, read_state
from ..tasks.task import load_bundle, task_of
from .findings import Findings

ANY_SIZE = 64  # voxels along an axis of which the metadata say "*"
POWER, FACTOR = 2, 1  # for the p and n of sizes such as "2**p*n" in the metadata
CHEST_SPACING_MM = (4.0, 4.0, 8.0)
HEAD_SHAPE, HEAD_SPACING_MM = (48, 56, 20), (4.0, 4.0, 7.0)
HEAD, TUMOUR = {"t1": 60, "flair": 90, "t1c": 70}, {"t1": 50, "flair": 180, "t1c": 90}  # grey


def check_weights(found: Findings, configs: Mapping[str, Path], *, has_weights: bool) -> None:
    """The network is what the metadata say, and the weights are its own.

    Args:
        found: takes the findings.
        configs: name to file of the bundle's configs.
        has_weights: models/model.pt is there.
    """
    inference, code = configs["inference"], Code(found.folder)
    with code.importable():
        with (
            _quiet(),
            strict(),
            found.catching(inference, "network_def", "Compare it with network_data_format."),
        ):
            verify_net_in_out(
                net_id="network_def", meta_file=str(configs["metadata"]),
                config_file=code.renamed(ConfigParser.load_config_file(inference)),
                device="cpu", p=POWER, n=FACTOR, any=ANY_SIZE,
                bundle_root=literal(str(found.folder)),
            )  # fmt: skip
        path = found.folder / "models" / "model.pt"
        if not has_weights:
            return
        with found.catching(path, "", "Save network.state_dict() of this network."):
            config = Config(inference, bundle_root=str(found.folder), device="cpu")
            network = config.build("network_def")
            load_state(network, read_state(path, network.state_dict()))


def check_run(found: Findings, configs: Mapping[str, Path]) -> None:
    """One phantom goes through `medvol predict`'s own way, and the answer lies on its grid.

    Args:
        found: takes the findings.
        configs: name to file of the bundle's configs.
    """
    inference = configs["inference"]
    with (
        tempfile.TemporaryDirectory(prefix="medvol-") as folder,
        found.catching(inference, "", "Run `medvol predict` to see more."),
    ):
        spec = read_spec(found.folder)
        image = phantom(Path(folder), task_of(spec).kind, spec.modality)
        if image is None:
            found.note(
                configs["metadata"], "network_data_format#inputs#image#modality",
                f"there is no phantom for {spec.modality}.", "Predict an image of your own.",
            )  # fmt: skip
            return
        for reason in wrong_in(load_bundle(found.folder, device="cpu").predict(image)):
            found.error(inference, "postprocessing", reason, "Invert the chain, then save labels.")


def wrong_in(answer: Answer) -> list[str]:
    """What of an answer does not fit its image or its bundle, a sentence each."""
    wrong, image, spec = [], answer.image, answer.spec
    if answer.mask is not None:
        shape = image.array.shape[-3:]
        if answer.mask.shape != shape:
            wrong.append(f"the mask has {answer.mask.shape} voxels, the image {shape}.")
        strange = set(np.unique(answer.mask).tolist()) - {0, *(x.value for x in spec.labels)}
        if strange:
            wrong.append(f"the mask holds {sorted(strange)}, which are not labels.")
    if answer.slices is not None and len(answer.slices.probability) != image.array.shape[-1]:
        wrong.append("there is not one probability for each slice of the image.")
    if answer.classes is not None:
        total = float(np.sum(answer.classes.probability))
        if not np.isclose(total, 1, atol=1e-3):
            wrong.append(f"the probabilities of the classes sum to {total:.3f}.")
    if answer.mask is None and answer.slices is None and answer.classes is None:
        wrong.append("it gives neither a mask nor classes.")
    return wrong


def phantom(folder: Path, kind: Kind, modality: str | None) -> Path | None:
    """Draw what a bundle takes.

    Args:
        folder: takes the files.
        kind: what the bundle reads its images as.
        modality: of the image; None where the bundle names none.

    Returns:
        File or folder to predict; None for a modality of which there is no phantom.
    """
    if kind == "radiograph":
        return radiograph(folder)
    if modality == "MR":
        return head(folder, sequences=kind == "sequences")
    return chest(folder) if modality in ("CT", None) else None


def chest(folder: Path) -> Path:
    """A chest CT of 90 x 78 x 39 voxels with lesions; its file."""
    made = chest_ct_phantom(spacing_mm=CHEST_SPACING_MM, seed=1, lesions=3)
    path = folder / "chest.nii.gz"
    write_volume(path, made.ct, made.affine)
    return path


def radiograph(folder: Path) -> Path:
    """The same chest seen from the front, as a picture; its file."""
    made = chest_ct_phantom(spacing_mm=CHEST_SPACING_MM, seed=1, lesions=3)
    thickness = np.clip(made.ct + 1000.0, 0, 2000).mean(axis=1).T[::-1]
    path = folder / "radiograph.png"
    grey = 255 * (thickness - thickness.min()) / np.ptp(thickness)
    Image.fromarray(np.rint(grey).astype(np.uint8)).save(path)
    return path


def head(folder: Path, *, sequences: bool) -> Path:
    """An ellipsoid head with a bright ball in it; its file, or its folder of MR sequences."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in HEAD_SHAPE), indexing="ij")
    inside = (x / 0.8) ** 2 + (y / 0.8) ** 2 + (z / 0.9) ** 2 < 1
    ball = (x - 0.3) ** 2 + (y - 0.2) ** 2 + z**2 < 0.04
    affine = np.diag([*HEAD_SPACING_MM, 1.0])
    for name in HEAD if sequences else ("flair",):
        array = np.where(ball, TUMOUR[name], np.where(inside, HEAD[name], 0)).astype(np.int16)
        write_volume(folder / f"head_{name}.nii.gz", array, affine)
    return folder if sequences else folder / "head_flair.nii.gz"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MONAI from logging what it was given, in the midst of the findings."""
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
