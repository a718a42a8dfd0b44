# SPDX-License-Identifier: Apache-2.0
"""What runs a bundle, and what took the place of each of its parts: in words, and for programs."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from .free_cores import Threads
from .settings import EngineSettings
from .substitutes.rule import Substitution

if TYPE_CHECKING:
    from .backends.backend import Backend

NETWORK = "network"  # the part of a bundle that a backend runs
STOCK = "nothing of the bundle is replaced"
ITS_OWN = "the bundle's inferer runs it as it stands"


class Runs(Protocol):
    """What is explained: a pipeline."""

    engine: EngineSettings
    substitutions: list[Substitution]
    backend: "Backend | None"
    threads: Threads


def explained(pipeline: Runs) -> dict[str, Any]:
    """How a bundle runs, ready for JSON.

    Args:
        pipeline: of the bundle.

    Returns:
        `asked`, what differs from the usual; `backend`, that ran the network, or will, and `why`;
        `threads`, their number and why; `measured`, the `backends.remembered.Choice` by name, where
        there is one; `substitutions`, for each part in order what it `replaced`, `by` what (empty:
        left as it stands) and `why`.
    """
    backend = pipeline.backend
    said = [
        x._replace(by=backend.name, why=getattr(backend, "why", x.why))
        if backend and x.part == NETWORK
        else x
        for x in pipeline.substitutions
    ]
    network = next((x for x in said if x.part == NETWORK), None)
    choice = getattr(backend, "choice", None)
    return {
        "asked": pipeline.engine.asked,
        "backend": backend.name if backend else "torch",
        "why": network.why if network else STOCK if pipeline.engine.stock else ITS_OWN,
        "threads": pipeline.threads._asdict(),
        **({"measured": choice.as_json()} if choice else {}),
        "substitutions": [
            {"part": x.part, "replaced": [*x.replaced], "by": x.by, "why": x.why} for x in said
        ],
    }


def lines(engine: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[str]:
    """The same in words: what runs the network, on which windows, then a line for each part.

    Args:
        engine: as `explained` gives it.
        settings: of the run: device, precision, windows.

    Example:
        >>> part = {"part": "preprocessing", "replaced": ["A", "B"], "by": "AB", "why": "at once"}
        >>> engine = {"backend": "torch", "why": "the fastest", "substitutions": [part]}
        >>> print(*lines(engine, {"window": [96, 96, 64], "overlap": 0.5}), sep="\\n")
        network: by torch (the fastest); window 96 x 96 x 64, overlap 0.5
        preprocessing: A, B -> AB (at once)
        >>> part |= {"replaced": ["C"], "by": "", "why": ""}
        >>> [*lines(engine, {})][1]
        'preprocessing: C as it stands'
    """
    named = {x.replace("_", " "): _text(v) for x, v in settings.items() if x != "backend"}
    words = ", ".join(f"{name} {text}" for name, text in named.items())
    yield f"network: by {engine['backend']} ({engine['why']}){'; ' if words else ''}{words}"
    if threads := engine.get("threads"):
        yield f"threads: {threads['number']} ({threads['why']})"
    for row in engine["substitutions"]:
        if row["part"] != NETWORK:
            after = f" -> {row['by']}" if row["by"] else " as it stands"
            why = f" ({row['why']})" if row["why"] else ""
            yield f"{row['part']}: {', '.join(row['replaced'])}{after}{why}"


def _text(value: Any) -> str:
    return " x ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
