# SPDX-License-Identifier: Apache-2.0
"""What a bundle keeps of its training: what the weights are for, and what its pictures are like."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..bundle.build import change_bundle
from ..bundle.config import Config
from ..bundle.permission import changing
from ..bundle.spec import read_spec
from ..data.datalist import Datalist, Item
from ..engine.pipeline import LIKENESS
from ..engine.steps import IMAGE
from ..metrics.likeness import FEWEST, SIDE, fit_likeness, shrunk
from ..networks.weights import record_in
from ..owned import renewing
from ..tasks.cases import AS_IT_IS
from ..tasks.task import Bundle, load_bundle, task_of
from ..trained import Recorded

MOST = 2000  # pictures of each part that are looked at: more change the limit little


def record_bundle(folder: Path, *, data: Datalist | None = None) -> list[str]:
    """Write into a bundle what its weights were trained for, and what its pictures are like.

    The metadata get `weights_record`, and the chain's fingerprint where they have none. A bundle
    whose images are pictures of one kind gets `models/likeness.npz`, by which another kind shows.

    Args:
        folder: the bundle's root, with weights.
        data: that it was trained on; the parts training and validation are looked at. None leaves
            the statistic of the pictures as it is.

    Returns:
        What was done, a line each.

    Raises:
        InputError: E_BUNDLE, E_LABELS, the weights say that they were trained for something else,
            or the bundle cannot be used; E_OUTPUT, a file of a bundle that medvol made was changed
            by hand; E_NOSPACE, a file cannot be written; or as for reading one of the pictures.
    """
    spec = read_spec(folder)
    record_in(spec.weights).check(spec.weights, spec.trained)
    chain = spec.chain_fingerprint or _fingerprint(folder)
    recorded = Recorded(spec.weights_sha256, spec.trained._replace(chain_fingerprint=chain))
    changes = {"chain_fingerprint": chain} if chain else {}
    entries = {**changes, "weights_record": recorded.to_json()}
    change_bundle(folder, {f"metadata#{name}": value for name, value in entries.items()})
    done = [f"metadata.json: {spec.weights.name} is recorded, SHA-256 {recorded.sha256[:16]}"]
    if data is not None and task_of(spec).pictures:
        done.append(_record_pictures(load_bundle(folder, device="cpu"), data))
    return done


def _fingerprint(folder: Path) -> str:
    """Of the chain that the bundle's inference names; empty for one that has none."""
    config = Config(folder / "configs" / "inference.json", bundle_root=str(folder), device="cpu")
    return str(getattr(config.build("preprocessing"), "fingerprint", ""))


def _record_pictures(bundle: Bundle, data: Datalist) -> str:
    """Write what the pictures of a training have in common, or nothing where they are few."""
    path = bundle.spec.folder / "models" / LIKENESS
    name = path.relative_to(bundle.spec.folder).as_posix()
    training, others = (
        _pictures(bundle, data.items(part) if part in data.parts else [])
        for part in ("training", "validation")
    )
    if len(training) < FEWEST:
        with changing(bundle.spec.folder):
            path.unlink(missing_ok=True)
        return f"{name}: none, for fewer than {FEWEST} pictures say too little of their kind"
    with changing(bundle.spec.folder), renewing(bundle.spec.folder, [name]):
        found = fit_likeness(training, others)
        found.save(path)
    return f"{name}: of {len(training)} + {len(others)} pictures, limit {found.limit:.3f}"


def _pictures(bundle: Bundle, items: Sequence[Item]) -> Tensor:
    """(N, 32, 32) of at most `MOST` pictures of a datalist, as the bundle's chain prepares them."""
    step = max(1, -(-len(items) // MOST))  # the order is by class and patient: so all have a part
    found = []
    for item in items[::step]:
        image = bundle.task.read(Path(item["image"]), AS_IT_IS)
        prepared = torch.as_tensor(bundle.pipeline.prepare(image).data[IMAGE])
        found.append(shrunk(prepared.mean(0, keepdim=True)))
    return torch.cat(found) if found else torch.empty(0, SIDE, SIDE)
