# SPDX-License-Identifier: Apache-2.0
"""The metadata of a bundle are one JSON object, or refused with the file's name."""

from pathlib import Path

import pytest

from medvol.bundle.find import find_bundle
from medvol.bundle.listing import look
from medvol.bundle.spec import spec_in
from medvol.errors import InputError
from medvol.manifest import manifest_of
from medvol.metadata import METADATA, read_metadata
from medvol.sharing.licences import terms_of
from medvol.sharing.materials import bill_of_materials

DEEP = '{"version": ' + "[" * 50_000 + "]" * 50_000 + "}"
READERS = {
    "the spec": spec_in, "the manifest": manifest_of, "the bill": bill_of_materials,
    "the file itself": read_metadata,
}  # fmt: skip


def bundle(folder: Path, metadata: str) -> Path:
    """A folder of a bundle with nothing but metadata."""
    (folder / "configs").mkdir(parents=True)
    (folder / METADATA).write_text(metadata, encoding="utf-8")
    return folder


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (DEEP, "nested more deeply"),
        ('{"version": "1.0.0", "version": "2.0.0"}', "the key 'version' stands twice"),
        ('{"version": NaN}', "NaN is not JSON"),
        ("[1]", "not a JSON object"),
        ("{", "cannot be read as JSON"),
    ],
)
def test_what_is_not_one_object_is_refused(
    reader: str, metadata: str, words: str, tmp_path: Path
) -> None:
    folder = bundle(tmp_path / "gift", metadata)
    with pytest.raises(InputError, match=words) as caught:
        READERS[reader](folder)
    assert (caught.value.code, Path(caught.value.path)) == ("E_BUNDLE", folder / METADATA)


def test_metadata_that_are_missing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as JSON") as caught:
        read_metadata(tmp_path)
    assert caught.value.code == "E_BUNDLE"


def test_a_list_of_bundles_and_licences_go_past_deep_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = bundle(tmp_path / "home" / "bundles" / "ct_gift", DEEP)
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    assert terms_of(folder) == ()
    assert look(folder).refusal is not None
    with pytest.raises(InputError, match="there is no such bundle"):  # looks at each for a near one
        find_bundle("ct_gitf")
