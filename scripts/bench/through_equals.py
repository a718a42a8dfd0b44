# SPDX-License-Identifier: Apache-2.0
"""A plugin of pytest: calls of MONAI's classes go through the faster equals that medvol has."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any

import monai.inferers
import pytest
import torch
from monai.inferers import SlidingWindowInferer, sliding_window_inference
from monai.transforms import (
    CropForeground,
    CropForegroundd,
    FillHoles,
    FillHolesd,
    KeepLargestConnectedComponent,
    KeepLargestConnectedComponentd,
    NormalizeIntensity,
    NormalizeIntensityd,
    Orientation,
    Orientationd,
    Spacing,
    Spacingd,
)

from medvol.engine.substitutes.registry import INFERERS, POSTPROCESSING, PREPROCESSING
from medvol.engine.substitutes.rule import substitute

KEY = "image"
Run = Callable[..., Any]
results: dict[str, dict[str, Any]] = {}
within: list[bool] = []  # for each call of an equal that runs: whether MONAI's class did its work
done = 0  # calls of the test that runs which an equal did by itself


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where results go, and whether the equals are there."""
    parser.addoption("--results", type=Path, required=True)
    parser.addoption("--equals", action="store_true")


def pytest_configure(config: pytest.Config) -> None:
    """Before any test is imported."""
    if config.getoption("--equals"):
        _route_all()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """What came of a test, why, and how many calls the equals did in it."""
    global done
    report: Any = yield
    if report.when == "call" or not report.passed:
        why = str(call.excinfo.value).strip().splitlines() if call.excinfo else []
        kind = f"{call.excinfo.typename}: " if call.excinfo else ""
        results[item.nodeid] = {
            "outcome": report.outcome, "why": kind + " ".join(why)[:200], "done": done,
        }  # fmt: skip
        done = 0
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep the results."""
    session.config.getoption("--results").write_text(json.dumps(results), encoding="utf-8")


def _route_all() -> None:
    for step in (Spacingd, Orientationd, CropForegroundd, NormalizeIntensityd):
        _route(step, _of_items)
    for step in (KeepLargestConnectedComponentd, FillHolesd):
        _route(step, _of_items)
    _route(Spacing, _of_spacing)
    _route(Orientation, _of_orientation)
    _route(CropForeground, _of_crop)
    _route(NormalizeIntensity, _of_normalisation)
    _route(KeepLargestConnectedComponent, _of_components)
    _route(FillHoles, _of_holes)
    _route(SlidingWindowInferer, _of_windows)
    monai.inferers.sliding_window_inference = _windows


def _route(stock_class: Any, equal_of: Callable[..., Run | None]) -> None:
    """Calls of a class go through its equal, but those that the equal makes itself."""
    stock = stock_class.__call__

    @wraps(stock)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if within:
            within[-1] |= not _is_question((*args, *kwargs.values()))
            return stock(self, *args, **kwargs)
        given = signature(stock).bind(self, *args, **kwargs).arguments
        names = [name for name in given if name != "self"]
        lazy = given.get("lazy", getattr(self, "lazy", False)) or getattr(self, "lazy", False)
        more = {name: given[name] for name in names[1:] if name != "lazy"}
        run = None if lazy or type(self) is not stock_class else equal_of(self, **more)
        if run is None:
            return stock(self, *args, **kwargs)
        with _running():
            return run(given[names[0]])

    stock_class.__call__ = call


@contextmanager
def _running() -> Iterator[None]:
    global done
    within.append(False)
    try:
        yield
    finally:
        done += not within.pop()


def _is_question(arguments: tuple[Any, ...]) -> bool:
    """Whether a step is asked what it would do, on an image without voxels."""
    items = [x for a in arguments for x in (a.values() if isinstance(a, dict) else [a])]
    return any(isinstance(x, torch.Tensor) and x.device.type == "meta" for x in items)


def _equal(step: Any) -> Any:
    found = substitute([step], (*PREPROCESSING, *POSTPROCESSING), part="")
    return found.steps[0] if found.said[0].by else None


def _of_items(step: Any, **more: Any) -> Run | None:
    return None if any(x is not None for x in more.values()) else _equal(step)


def _alone(step: Any) -> Run | None:
    """Of one image what a step does to an item."""
    equal = _equal(step)
    return None if equal is None else lambda image: equal({KEY: image})[KEY]


def _of_spacing(step: Spacing, output_spatial_shape: Any = None, **more: Any) -> Run | None:
    if output_spatial_shape is not None:
        return None
    twin = Spacingd(KEY, pixdim=1.0)
    twin.spacing_transform = step
    for name in ("mode", "padding_mode", "align_corners", "dtype", "scale_extent"):
        setattr(twin, name, (more.get(name),))
    return _alone(twin)


def _of_orientation(step: Orientation) -> Run | None:
    twin = Orientationd(KEY, axcodes="RAS", labels=None)
    twin.ornt_transform = step
    return _alone(twin)


def _of_crop(step: CropForeground, mode: Any = None, **more: Any) -> Run | None:
    if more:
        return None
    names = ("start", "stop")
    twin = CropForegroundd(KEY, source_key=KEY, start_coord_key="start", end_coord_key="stop")
    twin.cropper, twin.mode = step, (mode or step.padder.mode,)
    equal = _equal(twin)

    def run(image: Any) -> Any:
        made = equal({KEY: image})
        return (made[KEY], *(made[name] for name in names)) if step.return_coords else made[KEY]

    return None if equal is None else run


def _of_normalisation(step: NormalizeIntensity) -> Run | None:
    twin = NormalizeIntensityd(KEY)
    twin.normalizer = step
    return _alone(twin)


def _of_components(step: KeepLargestConnectedComponent) -> Run | None:
    twin = KeepLargestConnectedComponentd(KEY)
    twin.converter = step
    return _alone(twin)


def _of_holes(step: FillHoles) -> Run | None:
    twin = FillHolesd(KEY)
    twin.converter = step
    return _alone(twin)


def _of_windows(step: SlidingWindowInferer, **more: Any) -> Run | None:
    equal = _inferer(step)
    network, args = more.pop("network"), more.pop("args", ())
    named = more.pop("kwargs", {})
    return None if equal is None else lambda inputs: equal(inputs, network, *args, **named)


def _inferer(step: SlidingWindowInferer) -> Any:
    found = substitute([step], INFERERS, part="")
    return found.steps[0] if found.said[0].by else None


@wraps(sliding_window_inference)
def _windows(*args: Any, **kwargs: Any) -> Any:
    """The function, by the equal of the class that calls it."""
    given = dict(signature(sliding_window_inference).bind(*args, **kwargs).arguments)
    own = [given.pop(name, None) for name in ("roi_weight_map", "process_fn")]
    inputs, network = given.pop("inputs"), given.pop("predictor")
    more, named = given.pop("args", ()), given.pop("kwargs", {})
    if any(x is not None for x in own):
        return sliding_window_inference(*args, **kwargs)
    return SlidingWindowInferer(**given)(inputs, network, *more, **named)
