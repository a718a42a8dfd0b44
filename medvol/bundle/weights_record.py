# SPDX-License-Identifier: Apache-2.0
"""Whether a bundle's weights are those that its metadata describe, by the records of both.

Weights carry a record inside (`networks.weights.record_in`), which the trainings write. Beside
them, `metadata.json` has `weights_record`: the SHA-256 of models/model.pt, and what these weights
were trained for. So it shows when either of the two was changed.
"""

from collections.abc import Sequence

from ..errors import Note
from ..trained import Trained
from .spec import Spec


def check_trained(spec: Spec, inside: Trained, names: Sequence[str] = ()) -> tuple[Note, ...]:
    """Refuse weights that were trained for something else than the bundle says.

    Args:
        spec: of the bundle.
        inside: the record that its weights carry; empty where they carry none.
        names: that a config reads the network's scores as, where they may differ from those of the
            metadata; () for these.

    Returns:
        N_WEIGHTS where no record speaks for the weights of a bundle of medvol; a bundle made
        elsewhere keeps no records.

    Raises:
        InputError: E_LABELS, E_BUNDLE, as for `Trained.check`; E_BUNDLE, there are no weights.
    """
    beside = spec.weights_record
    is_theirs = beside is not None and beside.sha256 == spec.weights_sha256
    records = [inside, *([beside.trained] if beside and is_theirs else [])]
    for record in records:
        record.check(spec.weights, spec.trained)
        record.check(spec.weights, Trained(tuple(names)))
    if is_theirs or any(inside) or not spec.is_medvols:
        return ()
    others = "metadata.json describes other weights" if beside else "nor has metadata.json"
    text = (
        "nothing says that the bundle's weights were trained for its labels and its chain: "
        f"{spec.weights.name} has no record, {others}."
    )
    return (Note("N_WEIGHTS", text),)
