# SPDX-License-Identifier: Apache-2.0
"""What the trainings of a bundle start from, and how they go on from there.

A start is a file of weights, or a bundle: each training then takes the weights that the training of
its name gave there. Three strategies follow it; the first two are those of transfer learning, the
third is fastai's `fine_tune`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..bundle.config import Config
from ..bundle.find import find_bundle
from ..errors import InputError
from ..labels import same_names
from ..networks.start import fit_start
from ..training.recipe import Recipe, Stage, read_recipe

SCRATCH, OWN = "scratch", "weights"  # words of --from
HEAD_FIRST, ALL_SLOWLY, HEAD_ONLY = STRATEGIES = ("head-first", "all-slowly", "head-only")
PRETRAINED = "pretrained"  # id of weights to start with, where a config has one
MAY_LACK = "may_lack"  # id of the names that these may lack
STARTED, NETWORK = "started", "network_def"  # ids of the network with and without them
HEAD_IS_TAKEN = f"{STARTED}#keep_head"
NAMES = ("label_names", "class_names")  # ids of what the network's scores are of
HEAD_EPOCHS, EPOCHS, STAGES = "head_epochs", "epochs", "stages"
LOWEST, HIGHEST, RATE = "lowest_rate", "highest_rate", "learning_rate"
PLAN = (HEAD_EPOCHS, EPOCHS, LOWEST, HIGHEST, RATE)
# Howard and Gugger, "fastai: a layered API for deep learning", 2020 (doi 10.3390/info11020108):
# `fine_tune` trains the head for an epoch, then everything at half the rate, and the first layers
# at a hundredth of that.
FIRST_EPOCHS, HALVED, SPREAD = 1, 2, 100
SLOWER = 10  # than from random weights: the rate of everything at once


def find_start(word: str | None, bundle: Path) -> Path | None:
    """The start that a word names.

    Args:
        word: "scratch" or None, "weights" (those of the bundle), a file, or a bundle's name or
            folder.
        bundle: that is trained.

    Returns:
        A file, or the folder of a bundle; None for random weights.

    Raises:
        InputError: E_PATH, neither a file nor a bundle.
    """
    if word is None or word == SCRATCH:
        return None
    if word == OWN:
        return bundle
    if Path(word).is_file():
        return Path(word).absolute()
    try:
        return find_bundle(word)
    except InputError as error:
        raise InputError(
            "E_PATH", word, "there is no such file of weights and no such bundle.",
            f"Give {OWN} (those of the bundle), {SCRATCH}, a file, or a bundle.",
        ) from error  # fmt: skip


def usual_start(bundle: Path, *, own: bool) -> str:
    """The word of `find_start` that is taken where none is given.

    Args:
        bundle: that is trained.
        own: the training ends with a bundle of its own, which starts from this one where it can.
    """
    return OWN if own and (bundle / "models" / "model.pt").is_file() else SCRATCH


def find_weights(word: str | None, bundle: str | Path) -> Path | None:
    """The file that a word names, for a bundle with one network, or the first of several.

    Args:
        word, bundle: as for `find_start`; the bundle may be a name.

    Raises:
        InputError: E_PATH, as for `find_start`; E_BUNDLE, no such bundle.
    """
    start = find_start(word, find_bundle(bundle)) if word else None
    return start / "models" / "model.pt" if start is not None and start.is_dir() else start


def start_files(
    start: Path, recipe: Recipe, configs: Mapping[str, Config]
) -> dict[str, tuple[Path, bool]]:
    """The file that each training starts from, and whether it takes the head, too.

    Trainings that begin with a pretraining take what a gate or another second network of the bundle
    has. A file goes to the trainings whose network it fits; others of the network of one that
    begins with a pretraining stay random, to be compared with it.

    Args:
        start: a file, or the folder of a bundle.
        recipe: of the bundle that is trained.
        configs: name of a training to its config, for the trainings that are wanted.

    Returns:
        By name of the training. Those that begin with another training of the recipe, or from
        random weights, are not among them.

    Raises:
        InputError: E_BUNDLE, the bundle has no weights for any of them, or a file fits none.
    """
    stages = {name: recipe.stages[name] for name in configs}
    after = [n for n, s in stages.items() if begins_with_pretraining(s, recipe)]
    first = [n for n, s in stages.items()
             if not (s.begins_with or s.pretraining or PRETRAINED in s.settings)]  # fmt: skip
    if start.is_dir():
        return _of_bundle(start, after, first, configs)
    known = any(STARTED in config for config in configs.values())
    if not known:
        return dict.fromkeys(after or first, (start, True))
    refusal: InputError | None = None
    fitting: list[str] = []
    for name in (*after, *first):
        if name in first and any(_alike(configs[name], configs[x]) for x in fitting if x in after):
            continue
        try:
            _check_fit(configs[name], start)
            fitting.append(name)
        except InputError as error:
            refusal = refusal or error
    if not fitting:
        raise refusal or _no_weights(start)
    return {name: (start, _same(_bundle_of(start), configs[name])) for name in fitting}


def _of_bundle(
    start: Path, after: list[str], first: list[str], configs: Mapping[str, Config]
) -> dict[str, tuple[Path, bool]]:
    made = [(place, m.training) for place, m in read_recipe(start).install.items() if not m.file]
    found: dict[str, Path] = {}
    for name in (*after, *first):
        places = [place for place, training in made if training == name]
        if name in after:  # a choice among trainings, such as gates, has no name of its own
            places += [place for place, training in made if training is None]
        elif len(made) == len(first) == 1:
            places = places or [made[0][0]]
        if places:
            found[name] = start / places[0]
    if not found:
        raise _no_weights(start)
    for name, path in found.items():
        if STARTED in configs[name]:
            _check_fit(configs[name], path)
    return {name: (path, _same(start, configs[name])) for name, path in found.items()}


def _bundle_of(weights: Path) -> Path:
    """The bundle in whose folder models, or one below it, weights lie; else the folder's parent."""
    above = weights.absolute().parents[1:3]
    return next((x for x in above if (x / "configs" / "train.json").is_file()), above[0])


def _same(folder: Path, config: Config) -> bool:
    """Whether a head is for the same labels or classes, as far as the folder is a bundle's."""
    train = folder / "configs" / "train.json"
    given = _names(Config(train)) if train.is_file() else ()
    own = _names(config)
    return not given or not own or same_names(given, own)


def begins_with_pretraining(stage: Stage, recipe: Recipe) -> bool:
    """Whether a training starts from weights that another one only makes for it."""
    before = recipe.stages.get(stage.begins_with or "")
    return before is not None and before.pretraining


def _no_weights(start: Path) -> InputError:
    reason = "it has no weights for any of these trainings."
    return InputError("E_BUNDLE", start, reason, "Give a file of weights, or leave --from out.")


def _alike(one: Config, other: Config) -> bool:
    return bool(one.parser.get(NETWORK) == other.parser.get(NETWORK))


def _check_fit(config: Config, weights: Path) -> None:
    """Refuse weights of another network before anything runs."""
    may_lack = config.parser.get(MAY_LACK, ())
    fit_start(config.build(NETWORK), weights, may_lack=may_lack, names=_names(config))


def _names(config: Config) -> tuple[str, ...]:
    return tuple(next((config.build(name) for name in NAMES if name in config), ()))


def plan_of(strategy: str | None, config: Config, stage: Stage) -> dict[str, Any]:
    """The settings by which a training that starts from weights follows a strategy.

    Args:
        strategy: one of `STRATEGIES`; None is the first of them where the config can follow it.
        config: of the training, with the user's settings.
        stage: of the recipe; one that says itself what trains when keeps its own plan.

    Returns:
        Id to value. Nothing for "head-first" where the config trains its head first as it is.

    Raises:
        ValueError: a strategy is given, and the config has no stages.
    """
    if any(name not in config for name in PLAN):
        if strategy is None:
            return {}
        raise ValueError(
            f"--strategy {strategy} needs the ids {', '.join(PLAN)} in train.json; leave it out"
        )
    if not {HEAD_EPOCHS, STAGES}.isdisjoint(stage.settings):
        return {}
    head, epochs, lowest, highest, rate = (config.build(name) for name in PLAN)
    if strategy == HEAD_ONLY:
        return {HEAD_EPOCHS: head + epochs, EPOCHS: 0}
    if strategy == ALL_SLOWLY:
        return {HEAD_EPOCHS: 0, LOWEST: rate / SLOWER, HIGHEST: rate / SLOWER}
    if head and lowest < highest:
        return {}
    highest = rate / HALVED
    return {HEAD_EPOCHS: FIRST_EPOCHS, LOWEST: highest / SPREAD, HIGHEST: highest}
