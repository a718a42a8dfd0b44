# SPDX-License-Identifier: Apache-2.0
"""What `medvol train` is asked for, and the record that a run keeps of it."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..bundle.settings import as_json, differences
from ..bundle.store import check_changeable
from ..data.proposals import Proposal
from ..errors import InputError
from ..files import read_json, sha256_of, write_json
from ..owned import check_owned
from ..training.recipe import read_recipe
from .starts import STRATEGIES
from .training import check_same

RECORD, SETTINGS, AUTO = "run.json", "settings", "auto"
PACKAGES = ("medvol", "monai", "torch", "pytorch-ignite", "numpy")


@dataclass(frozen=True)
class Order:
    """What is to be trained.

    Args:
        bundle: its folder.
        data: datalist.
        folds: that are held out in turn; () for none.
        final: train on all cases, too.
        settings: id to value, of every training that has the id.
        weights: to start from: a file, or the folder of a bundle, see `starts`.
        strategy: by which it goes on from there, one of `starts.STRATEGIES`; None for the usual.
        overlays: configs laid over train.json, before those of the recipe.
        limits: seconds of each training, and epochs without becoming better; see `prepare`.
        only: names of trainings of the recipe; () for all.
        accept_changes: go on with a run that was started with other settings.
        auto: those of the settings that follow from the data, with their reasons.

    Raises:
        ValueError: an unknown strategy, or one without weights.
    """

    bundle: Path
    data: Path
    folds: tuple[int, ...] = ()
    final: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: Path | None = None
    strategy: str | None = None
    overlays: tuple[str, ...] = ()
    limits: tuple[float | None, int | None] = (None, None)
    only: tuple[str, ...] = ()
    accept_changes: bool = False
    auto: tuple[Proposal, ...] = ()

    def __post_init__(self) -> None:
        if self.strategy is not None and (not self.weights or self.strategy not in STRATEGIES):
            raise ValueError(
                f"--strategy is {self.strategy!r}; give one of {', '.join(STRATEGIES)}, with --from"
            )

    def record(self) -> dict[str, Any]:
        """What must stay as it is when the run goes on."""
        return {
            "bundle": self.bundle.name,
            "datalist": sha256_of(self.data),
            SETTINGS: dict(self.settings),
            "from": self._sums(),
            "config": list(self.overlays),
        }

    def _sums(self) -> str | dict[str, str] | None:
        """Checksum of the file to start from, or of each one in the bundle."""
        if self.weights is None:
            return None
        if self.weights.is_file():
            return sha256_of(self.weights)
        models = sorted((self.weights / "models").iterdir())
        return {path.name: sha256_of(path) for path in models if path.is_file()}

    def check_install(self) -> None:
        """Refuse to put weights into a bundle that are not those of all cases.

        Raises:
            ValueError: a fold is held out and nothing follows, or only some trainings are wanted.
            InputError: E_OUTPUT, the bundle was received, and stays as it was.
        """
        if not self.final or not read_recipe(self.bundle).is_whole(self.only):
            raise ValueError("--install needs weights of all cases; leave --fold and --only out")
        check_changeable(self.bundle)


def check_record(order: Order, folder: Path) -> list[str]:
    """Refuse a run of something else in a run's folder; settings are left to `check_begun`.

    Args:
        order: what is asked for.
        folder: of the run.

    Returns:
        What was accepted to differ so far, old and new.

    Raises:
        InputError: E_CHANGED, the run was started with something else, old and new are named;
            E_OUTPUT, the folder of a new run holds what the run would replace, or results of
            something else.
    """
    path, now = folder / RECORD, order.record()
    if not path.is_file():
        names = ("all", "bundle", "summary.json", "figures.csv", "cross_validation.csv")
        check_owned(folder, [*names, *(f"fold{fold}" for fold in order.folds)])
        return []
    record = read_json(path, what="record", remedy="Start over with --fresh.")
    if "run" not in record:
        reason = "it is not the record of a training."
        raise InputError("E_OUTPUT", path, reason, "Choose another --output.")
    before, accepted = record["run"], list(record.get("accepted", []))
    if order.accept_changes:
        return accepted + differences(before, as_json(now))
    check_same(path, {**before, SETTINGS: None}, {**now, SETTINGS: None})
    return accepted


def write_record(order: Order, folder: Path, accepted: Sequence[str]) -> None:
    """Write what is trained into a run's folder.

    Args:
        order: what is asked for.
        folder: of the run.
        accepted: what differs from before.

    Raises:
        InputError: E_NOSPACE, it cannot be written.
    """
    record = {"run": order.record(), "accepted": accepted, "data": str(order.data)}
    auto = {AUTO: [own._asdict() for own in order.auto]} if order.auto else {}
    write_json(folder / RECORD, {**record, **auto, "versions": versions()})


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a training rests on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # medvol, run from its repository
            continue
    return found
