# SPDX-License-Identifier: Apache-2.0
"""Weights and the chain they were trained with belong together; this keeps them so."""

import os

from ..errors import InputError
from .spec import Spec, read_spec


def check_chain(bundle: Spec | str | os.PathLike[str], fingerprint: str | None) -> None:
    """Refuse to run a bundle's weights behind another transform chain than their own.

    Nothing is compared where the bundle or the chain has no fingerprint (bundles made elsewhere).

    Args:
        bundle: its spec, name or folder.
        fingerprint: of the chain that would run, `medvol.chains.Chain.fingerprint`.

    Raises:
        InputError: E_BUNDLE, they differ.
    """
    spec = bundle if isinstance(bundle, Spec) else read_spec(bundle)
    trained = spec.chain_fingerprint
    if trained and fingerprint and trained != fingerprint:
        raise InputError(
            "E_BUNDLE", spec.folder,
            f"the weights were trained behind chain {trained}, the config describes chain "
            f"{fingerprint}: spacing, window or crop differ.",
            "Restore the chain's settings in the config, or train again with the new ones.",
        )  # fmt: skip
