# SPDX-License-Identifier: Apache-2.0
"""What a bundle is, in words; one that carries code is asked in a process that is confined."""

from pathlib import Path

from ..bundle.explain import explain
from ..engine.child import Child
from ..engine.confined import confinement_for
from ..engine.limits import usual_limits
from ..engine.serve import Handler


def explained(folder: Path) -> str:
    """`explain`, in a process of its own where the bundle carries code.

    Args:
        folder: the bundle's root.

    Raises:
        InputError: as for `explain`; E_UNTRUSTED, the bundle may not run here; E_FAILED, it dies or
            takes too long.
    """
    confinement = confinement_for(folder)
    if confinement is None:
        return explain(folder)
    limits = usual_limits(None, confined=True)
    work = f"{__name__}:{explainer.__name__}"
    with Child(work, limits=limits, confinement=confinement) as process:
        text: str = process.ask(folder)
    return text


def explainer(_: None) -> Handler:
    """Explains bundles, for a `Child`; a request is a bundle's root."""
    return lambda folders: (explain(folder) for folder in folders)
