# SPDX-License-Identifier: Apache-2.0
"""The output folder of a cohort as `medvol cohort run` leaves it, made without running anything."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from medvol.bundle.spec import read_spec
from medvol.cohort import frozen
from medvol.cohort.frozen import Fixed, Frozen
from medvol.cohort.ledger import DONE, FOLDER, Ledger, State
from medvol.cohort.plan import Unit, write_plan
from medvol.files import sha256_of, write_json
from medvol.images.writing import write_mask
from medvol.owned import FILES, RUN, write_record

CT, RADIOGRAPH = "covid_ct_lesion_3d", "chest_xray_pneumonia"
MASK = "segmentation.nii.gz"


class MadeCohort:
    """A cohort's folder; call `finish` when all units are there.

    Args:
        out: the folder, which is made.
        bundles: names of bundles that came with medvol.
    """

    def __init__(self, out: Path, bundles: Sequence[str] = (CT,)) -> None:
        self.out, self.specs = out, {name: read_spec(name) for name in bundles}
        self.units: list[Unit] = []
        (out / FOLDER).mkdir(parents=True)
        self.ledger = Ledger(out)

    def unit(self, case: str, bundle: str = CT, **of_plan: Any) -> Unit:
        """A unit of the plan that no line of the ledger names."""
        made = Unit(case, f"/data/Doe^Jane/{case}.nii.gz", bundle, **of_plan)
        self.units.append(made)
        return made

    def ends(self, unit: Unit, state: str, **said: Any) -> None:
        """What the ledger says of a unit."""
        self.ledger.states[unit.key] = State(state, time="2026-01-01T00:00:00", **said)

    def done(self, unit: Unit, found: Mapping[str, Any], *, host: str = "ct1") -> Path:
        """A unit with an answer.

        Args:
            unit: of the plan.
            found: what `run.json` says beside the usual; see `volumes` and `classes`.
            host: where it was computed.

        Returns:
            The folder of its results.
        """
        folder = self.out / unit.key
        folder.mkdir(parents=True, exist_ok=True)
        record = {"case": unit.case, "times_s": {"read": 1.0, "network": 2.5, "load": 9.0},
                  "peak_memory_bytes": 2 << 30, FILES: {}, "notes": [], **found}  # fmt: skip
        write_record(folder / RUN, record)
        self.ends(unit, DONE, host=host, seconds=3.5, new=True)
        return folder

    def masked(self, unit: Unit, mask: Any, **found: Any) -> Path:
        """A unit with an answer, and with its mask as a file.

        Args:
            unit: of the plan.
            mask: labels, (X, Y, Z).
            found: as for `done`.
        """
        path = self.out / unit.key / MASK
        path.parent.mkdir(parents=True)
        write_mask(path, np.asarray(mask, np.uint8), np.eye(4))
        return self.done(unit, {**found, FILES: {MASK: sha256_of(path)}})

    def finish(self, **said: Any) -> Path:
        """Write plan, ledger and what is fixed, in which `said` takes its place; the folder."""
        write_plan(self.out / frozen.PLAN, self.units)
        bundles = {
            name: Fixed(str(spec.folder), spec.version, "0" * 64, "torch", None)._asdict()
            for name, spec in self.specs.items()
        }
        fixed = Frozen({}, {}, "cpu", 1, frozen.plan_sha256(self.units), {"python": "3.11"})
        write_json(self.out / frozen.NAME, {**asdict(fixed), "bundles": bundles, **said})
        self.ledger.compact([])
        return self.out


def volumes(
    ground_glass: float, consolidation: float = 0.0, lung: float = 4000.0
) -> dict[str, Any]:
    """What a record says of a CT; volumes in ml."""
    ml = {"ground-glass opacity": ground_glass, "consolidation": consolidation, "lung (rest)": lung}
    total = sum(ml.values())
    rows = [
        {"value": value, "name": name, "volume_ml": x, "share_percent": 100 * x / total}
        for value, (name, x) in enumerate(ml.items(), start=1)
    ]
    return {"measurements": rows, "severity_score": 3}


def classes(pneumonia: float) -> dict[str, Any]:
    """What a record says of a radiograph, by the probability of pneumonia."""
    shares = {"normal": round(1 - pneumonia, 6), "pneumonia": pneumonia}
    return {"answer": max(shares, key=shares.__getitem__), "classes": {"probability": shares}}
