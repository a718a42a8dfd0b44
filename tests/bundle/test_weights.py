# SPDX-License-Identifier: Apache-2.0
"""Weights run behind the chain they were trained with, and no other."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from medvol.bundle.spec import Spec, parse_spec
from medvol.bundle.weights import check_chain
from medvol.errors import InputError

TRAINED, OTHER = "0123456789abcdef", "fedcba9876543210"


def metadata(fingerprint: str | None) -> dict[str, Any]:
    channels = {"0": "background", "1": "spleen"}
    said = {"chain_fingerprint": fingerprint} if fingerprint else {}
    return {**said, "network_data_format": {"outputs": {"pred": {"channel_def": channels}}}}


def bundle(folder: Path, fingerprint: str | None) -> Spec:
    return parse_spec(folder, metadata(fingerprint))


def test_another_chain_is_refused_by_folder_and_by_spec(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "metadata.json").write_text(json.dumps(metadata(TRAINED)))
    for given in (tmp_path, os.fspath(tmp_path), bundle(tmp_path, TRAINED)):
        with pytest.raises(InputError) as caught:
            check_chain(given, OTHER)
        assert (caught.value.code, caught.value.path) == ("E_BUNDLE", os.fspath(tmp_path))
        assert f"trained behind chain {TRAINED}" in caught.value.reason
        assert OTHER in caught.value.reason
        assert "train again" in caught.value.remedy


@pytest.mark.parametrize(
    ("trained", "runs"), [(TRAINED, TRAINED), (None, OTHER), (TRAINED, None), (None, None)]
)
def test_equal_or_unknown_chains_pass(trained: str | None, runs: str | None) -> None:
    check_chain(bundle(Path("b"), trained), runs)
