# SPDX-License-Identifier: Apache-2.0
"""A training that ends with a bundle of its own: made before it as a draft, whole at its end.

RUN/draft/NAME              what is trained: the labels of the data, the settings, no weights
NAME                        the bundle, in the folder of the user's own bundles or where a path
                            leads; it appears at the end with weights, figures and pages
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..bundle.build import SOURCE, change_bundle, parts_for, read_source
from ..bundle.config import Config, literal
from ..bundle.find import PARTS
from ..bundle.foreign import GATE
from ..bundle.given import PATHS
from ..bundle.label_set import labels_named
from ..bundle.new import labels_of, new_folder, new_source, own_folder, write_bundle
from ..bundle.permission import permit, record_own
from ..bundle.settings import FREE, as_json, differences, in_words, leaves_of
from ..bundle.shared import with_settings
from ..bundle.spec import read_spec
from ..data.datalist import Datalist
from ..errors import InputError
from ..files import appearing, sha256_of
from ..owned import MANIFEST, checksums, claim, read_record
from .ids import has_place
from .order import RECORD, Order
from .own_pages import NO_GATE, metadata_of, page_of, write_pages
from .results import MADE, fill
from .run import ALL, Run

DRAFT = "draft"  # in the folder of the run
MODEL = "models/model.pt"
NETWORK, CHAIN, PREPROCESSING = "network_def", "chain", "preprocessing"
SAME = "Change the parameter in the source of a bundle instead: docs/adding_a_bundle.md."


@dataclass(frozen=True)
class OwnBundle:
    """A bundle that a training is to end with.

    Args:
        folder: where it will lie; nothing does yet.
        base: folder of the bundle whose network, chain and training it takes over.
        order: the training, of its draft.
        settings: all that the user set, id to value.
        is_made: it is there already, by this very run.
    """

    folder: Path
    base: Path
    order: Order
    settings: Mapping[str, Any]
    is_made: bool = False

    @property
    def name(self) -> str:
        """Of the bundle."""
        return self.folder.name


def draft(order: Order, name_or_folder: str | os.PathLike[str], run_folder: Path) -> OwnBundle:
    """Make what is trained: the order's bundle with the labels of its data and its settings.

    A draft of before stays where it is the same, so that a run can go on.

    Args:
        order: of the bundle that it is made from.
        name_or_folder: of the bundle to be; a name lies in the folder of the user's own bundles.
        run_folder: of the training.

    Raises:
        InputError: E_PATH, another bundle of that name is there, or no such datalist; E_CHANGED,
            the run was started for other labels or settings, or with another bundle, and that is
            not accepted or its bundle is there already; E_BUNDLE, no other can be made of this
            bundle; E_FORMAT, the datalist.
        ValueError: weights of some cases or some trainings alone are asked for.
    """
    if not order.final or order.only:
        raise ValueError("--name needs weights of all cases; leave --fold and --only out")
    folder, base = own_folder(name_or_folder), order.bundle
    is_made = _is_of(run_folder, folder)
    if not is_made:
        folder = new_folder(name_or_folder)
    read = Datalist.read(order.data)
    labels = labels_named(read.labels, labels_of(base)) if (base / SOURCE).is_file() else None
    source = new_source(
        base, folder, labels=labels, settings=order.settings, said_in=read.path if labels else None
    )
    place = run_folder.absolute() / DRAFT / folder.name
    rest = with_settings(source, order.settings, parts_for(folder)).rest
    is_begun = (run_folder / RECORD).is_file()
    if (parts := folder.parent / PARTS).is_dir():
        shutil.copytree(parts, place.parent / PARTS, dirs_exist_ok=True)
    accept = (order.accept_changes or not is_begun) and not is_made
    _write(place, source, base, accept=accept)
    made = replace(order, bundle=place, settings=rest)
    return OwnBundle(folder, base, made, order.settings, is_made)


def _is_of(run_folder: Path, bundle: Path) -> bool:
    """Whether a bundle is there that a run made, with its weights."""
    made, there = run_folder / MADE / MODEL, bundle / MODEL
    both = made.is_file() and there.is_file()
    return both and sha256_of(made) == sha256_of(there)


def _write(place: Path, source: dict[str, Any], base: Path, *, accept: bool) -> None:
    """The draft, unless it is there; another one is replaced where changes are accepted."""
    if place.is_dir() and not read_record(place / MANIFEST):
        reason = "it would be replaced, and nothing says that medvol wrote it."
        raise InputError("E_OUTPUT", place, reason, "Move it, or choose another --output.")
    if place.is_dir():
        before = leaves_of(read_source(place / SOURCE))
        changed = differences(before, leaves_of(as_json(source)))
        if not changed:
            return
        if not accept:
            raise InputError(
                "E_CHANGED", place, f"the run was started with {in_words(changed)}.",
                "Restore it, give --accept-changes while the bundle is not there yet, or choose "
                "another --name and --output.",
            )  # fmt: skip
        shutil.rmtree(place)
    write_bundle(place, source, base.name)
    record_own(place, level=permit(base).level)


def check_use(bundle: Path, run: Run) -> None:
    """Refuse a training whose weights a bundle could not use: of another chain or network.

    What a bundle made elsewhere calls otherwise is not looked at.

    Args:
        bundle: folder of the bundle, or of the draft of one, that gets the weights.
        run: that trains them.

    Raises:
        InputError: E_BUNDLE, a setting or a config changes the training's chain or network alone.
    """
    import torch

    name = run.recipe.install[MODEL].training if MODEL in run.recipe.install else None
    if name not in run.trainings:
        return
    training = run.trainings[name]
    config = training.config()
    for key, value in training.settings.items():
        config.parser[key] = literal(value)
    use = Config(bundle / "configs" / "inference.json", bundle_root=str(bundle), device="cpu")
    if CHAIN in config and PREPROCESSING in use:
        trained, used = (
            getattr(x.build(key), "fingerprint", None)
            for x, key in ((config, CHAIN), (use, PREPROCESSING))
        )
        if trained != used:
            reason = (
                "chain of the training is another than that of the use: a setting is in one alone."
            )
            raise InputError("E_BUNDLE", training.configs[-1], f"the {reason}", SAME)
    if NETWORK in config and NETWORK in use:
        with torch.device("meta"):
            weights = [
                {key: tuple(value.shape) for key, value in x.build(NETWORK).state_dict().items()}
                for x in (config, use)
            ]
        if weights[0] != weights[1]:
            reason = "network of the training is another than that of the use."
            raise InputError("E_BUNDLE", training.configs[-1], f"the {reason}", SAME)


def finish(own: OwnBundle, run: Run, summary: Mapping[str, Any]) -> Path:
    """Put the bundle together and into its place, whole or not at all; once.

    Args:
        own: the bundle to be.
        run: of its draft, to its end.
        summary: of `results.summarise`.

    Returns:
        The bundle's folder.

    Raises:
        InputError: E_PATH, something lies there by now; E_NOSPACE, it cannot be written.
    """
    if own.is_made:
        return own.folder
    with appearing(own.folder) as scratch:
        shutil.copytree(own.order.bundle, scratch, dirs_exist_ok=True)
        fill(run, scratch)
        changes = trained_with(own)
        gate = _without_gate(scratch)
        page = page_of(
            run, own.base.name, own.settings, summary, name=own.name,
            remarks=(NO_GATE,) if gate else (),
        )  # fmt: skip
        change_bundle(scratch, {**changes, **gate, **metadata_of(page)})
        write_pages(scratch, page, run.folder_of(ALL, run.final[-1]))
        claim(scratch, checksums(scratch))
    record_own(own.folder, level=permit(own.base).level)
    return own.folder


def trained_with(own: OwnBundle) -> dict[str, Any]:
    """Entries of the source for settings of the training alone, such as `epochs`.

    Those of one of several trainings, and paths, devices and workers, are left out.
    """
    config = Config(own.order.bundle / "configs" / "train.json")
    return {
        f"train#{name}": value
        for name, value in own.order.settings.items()
        if has_place(config, name)
        and name.rpartition("#")[2] not in FREE
        and not name.endswith(PATHS)
    }


def _without_gate(bundle: Path) -> dict[str, Any]:
    """What switches a gate off of which there are no weights; nothing where none is asked."""
    inference = read_source(bundle / "configs" / "inference.json")
    missing = not read_spec(bundle).gate.is_file()
    return {f"inference#{GATE}": None} if missing and inference.get(GATE) is not None else {}
