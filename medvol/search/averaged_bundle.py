# SPDX-License-Identifier: Apache-2.0
"""A bundle of several trained networks of another bundle, whose probabilities it averages."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from ..bundle.build import SOURCE, assemble, parts_for, read_source
from ..bundle.config import Config
from ..bundle.find import find_bundle
from ..bundle.new import new_folder, new_source, write_bundle
from ..bundle.permission import changing, permit, record_own
from ..bundle.spec import Spec, read_spec
from ..errors import InputError
from ..networks.fit import fit_whole
from ..networks.weights import read_state, record_in, with_record
from ..owned import checksums, claim
from ..training.checkpoint import save_atomically
from .record import record_bundle

NETWORK = "network_def"  # id of inference.json
AVERAGED = "medvol.networks.averaged.AveragedNetwork"


def averaged_bundle(
    name_or_folder: str | os.PathLike[str],
    *,
    like: str | os.PathLike[str],
    weights: Sequence[Path],
) -> Path:
    """Make a bundle that answers with the mean of several networks, weights and all.

    Args:
        name_or_folder: of the new bundle; a name lies in the folder of the user's own bundles.
        like: name or folder of the bundle whose networks they are; its gate is taken over.
        weights: files with the state dict of one network each, at least two.

    Returns:
        The new bundle's folder.

    Raises:
        InputError: E_BUNDLE, E_LABELS, a file is not of this bundle's network, chain or labels; or
            as for `bundle.new.new_bundle`.
        ValueError: fewer than two files.
    """
    if len(weights) < 2:
        raise ValueError("weights of one network make no mean; give two files or more")
    folder, other = new_folder(name_or_folder), find_bundle(like)
    allowed = permit(other)
    spec = read_spec(other)
    state = _together(spec, weights)
    source = new_source(other, folder)
    one = assemble(read_source(other / SOURCE), parts_for(other))["inference"][NETWORK]
    members = {"_target_": AVERAGED, "members": [one] * len(weights)}
    source["inference"] = {**source.get("inference", {}), NETWORK: members}
    said = f"The mean of {len(weights)} networks of {other.name}."
    source["metadata"]["description"] = f"{said} {source['metadata']['description']}"
    write_bundle(folder, source, other.name)
    record_own(folder, level=allowed.level)
    with changing(folder):
        save_atomically(with_record(state, spec.trained), folder / "models" / "model.pt")
        if spec.gate.is_file():
            shutil.copytree(spec.gate.parent, folder / "models" / spec.gate.parent.name)
        claim(folder, checksums(folder))
    record_bundle(folder)
    return folder


def _together(spec: Spec, weights: Sequence[Path]) -> Mapping[str, Tensor]:
    """The weights of all, named as `AveragedNetwork` names them.

    Raises:
        InputError: E_BUNDLE, E_LABELS, a file is not of the bundle's network, chain or labels.
    """
    config = Config(spec.folder / "configs" / "inference.json", bundle_root=str(spec.folder))
    own = config.build(NETWORK).state_dict()
    found: dict[str, Tensor] = {}
    for number, path in enumerate(weights):
        record_in(path).check(path, spec.trained)
        try:
            state = fit_whole(own, read_state(path, own))
        except ValueError as error:
            raise InputError(
                "E_BUNDLE", path, f"the weights do not fit the network: {error}.",
                f"Give weights of {spec.name}, such as RUN/bundle/models/model.pt.",
            ) from error  # fmt: skip
        found |= {f"{number}.{name}": value for name, value in state.items()}
    return found
