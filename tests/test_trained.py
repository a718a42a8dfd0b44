# SPDX-License-Identifier: Apache-2.0
"""The record of weights: read back as it was, compared field by field, silent where it is empty."""

import json

import pytest
from refusals import refused_by

from medvol.trained import Recorded, Trained

OWN = Trained(("normal", "pneumonia"), "cf352f3ce7d90ba6", "radiographs")


def test_a_record_comes_back_from_json() -> None:
    recorded = Recorded("0" * 64, OWN)
    assert Recorded.of(json.loads(json.dumps(recorded.to_json()))) == recorded
    assert Trained.of({}) == Trained() == Trained.of({"names": None, "task": None})
    assert not any(Trained())


def test_a_record_without_checksum_says_nothing() -> None:
    with pytest.raises(KeyError, match="sha256"):
        Recorded.of(OWN.to_json())


@pytest.mark.parametrize(
    "other",
    [
        OWN,
        Trained(),
        Trained(("Normal", "PNEUMONIA")),
        Trained(chain_fingerprint=OWN.chain_fingerprint),
        Trained(task="radiographs"),
    ],
)
def test_what_agrees_or_is_not_known_passes(other: Trained) -> None:
    other.check("model.pt", OWN)
    OWN.check("model.pt", other)


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"names": ("healthy", "tb")}, "E_LABELS", "for healthy, tb, not for normal, pneumonia."),
        ({"names": OWN.names[::-1]}, "E_LABELS", "for pneumonia, normal, not for normal, pneumo"),
        ({"task": "volumes"}, "E_BUNDLE", "for volumes, not for radiographs."),
        ({"chain_fingerprint": "12"}, "E_BUNDLE", "behind chain 12, not behind cf352f3ce7d90ba6:"),
    ],
)
def test_what_differs_is_refused_by_its_name(
    changed: dict[str, object], code: str, words: str
) -> None:
    error = refused_by(lambda: OWN._replace(**changed).check("a/model.pt", OWN), code)
    assert error.path == "a/model.pt"
    assert words in error.reason
