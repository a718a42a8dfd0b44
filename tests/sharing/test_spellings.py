# SPDX-License-Identifier: Apache-2.0
"""What bytes spell in base64, and that a digest spells nothing."""

import base64
import hashlib

import pytest

from medvol.sharing.spellings import encoded_in


@pytest.mark.parametrize("letters", ["md5", "sha1", "sha256"])
def test_a_digest_spells_nothing(letters: str) -> None:
    """Of these thousands some are printable when they are taken for base64."""
    digests = [hashlib.new(letters, bytes([n % 256, n // 256])).hexdigest() for n in range(3000)]
    said = [list(encoded_in(f'"sha256": "{digest}"')) for digest in digests]
    assert [x for x in said if x] == []


@pytest.mark.parametrize("text", [b"Mustermann^Erika^^^", b"patient of the third of May"])
def test_a_text_in_base64_is_found(text: bytes) -> None:
    spelled = base64.b64encode(text).decode()
    assert text in [found for _, _, found in encoded_in(f'{{"key": "{spelled}"}}')]
