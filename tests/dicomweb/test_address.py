# SPDX-License-Identifier: Apache-2.0
"""Addresses and credentials: what is taken, and what is refused before anything is sent."""

import json
from pathlib import Path

import pytest
from refusals import refused_by

from medvol.dicomweb.address import Address, is_address, parse_address
from medvol.dicomweb.credentials import Credentials, credentials_for

ROOT = "https://archive.example:8043/rs"
LOCAL = Address("http://localhost:8042/dicom-web")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (f"dicomweb+{ROOT}", Address(ROOT)),
        (f"dicomweb+{ROOT}/", Address(ROOT)),
        (f"{ROOT}/studies", Address(ROOT)),
        (f"dicomweb+{ROOT}/studies/1.2/", Address(ROOT, "1.2")),
        (f"dicomweb+{ROOT}/studies/1.2/series/1.2.3", Address(ROOT, "1.2", "1.2.3")),
        (f"DICOMweb+{ROOT}/studies/a_b-c", Address(ROOT, "a_b-c")),
        ("dicomweb+http://[::1]:80/x/studies/1", Address("http://[::1]:80/x", "1")),
    ],
)
def test_an_address_names_an_archive_a_study_or_a_series(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dicomweb+ftp://host/rs", "is not an address of an archive"),
        ("dicomweb+https:///rs", "is not an address of an archive"),
        ("dicomweb+https://host:port/rs", "is not an address of an archive"),
        (f"dicomweb+{ROOT}?x=1", "holds ?, #, blanks"),
        (f"dicomweb+{ROOT}/a b", "holds ?, #, blanks"),
        (f"dicomweb+{ROOT}/studies/..", "no study or series"),
        (f"dicomweb+{ROOT}/studies/1.2/series", "no study or series"),
        (f"dicomweb+{ROOT}/studies/1.2/series/1%2F2", "no study or series"),
        (f"dicomweb+{ROOT}/studies/1.2/instances/1.3", "no study or series"),
        (f"dicomweb+{ROOT}/studies/1.2/series/1/instances/1", "no study or series"),
        (f"dicomweb+{ROOT}/studies/{'1' * 65}", "no study or series"),
    ],
)
def test_what_is_no_address_is_refused(text: str, words: str) -> None:
    assert words in refused_by(lambda: parse_address(text), "E_ARCHIVE").reason


def test_a_password_in_an_address_is_refused_and_not_shown() -> None:
    text = "dicomweb+https://medvol:secret@host/rs"
    error = refused_by(lambda: parse_address(text), "E_ARCHIVE")
    assert "secret" not in str(error)
    assert error.path == "dicomweb+https://host/rs"


def test_files_are_no_addresses() -> None:
    words = ["scans/a.nii.gz", "http:/a", "https://host/rs", "dicomweb", "C:\\scans"]
    assert not any(map(is_address, words))
    assert is_address("https://host/rs", plain=True)


def test_a_case_has_the_same_name_each_time_and_no_uid_in_it() -> None:
    one, other = Address(ROOT, "1.2.3", "1.2.3.4"), LOCAL.of("1.2.3", "1.2.3.4")
    assert one.case == other.case == "series_6694f83c9f47"  # sha256sum of 1.2.3.4
    assert one.of("1.2.3").case != one.of("1.2.4").case


def test_credentials_of_the_environment() -> None:
    said = {"MEDVOL_DICOMWEB_USER": "medvol", "MEDVOL_DICOMWEB_PASSWORD": "secret"}
    assert credentials_for(LOCAL, said).header == "Basic bWVkdm9sOnNlY3JldA=="
    token = {"MEDVOL_DICOMWEB_TOKEN": " abc\n"}
    assert credentials_for(LOCAL, token).header == "Bearer abc"
    assert credentials_for(LOCAL, {}).header == ""
    assert "secret" not in repr(credentials_for(LOCAL, said))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"USER": "a"}, "of user and password one is missing"),
        ({"USER": "a", "PASSWORD": "b", "TOKEN": "c"}, "both a user and a token"),
        ({"TOKEN": "a\r\nX: b"}, "hold what cannot be sent"),
        ({"USER": "a:b", "PASSWORD": "c"}, "hold what cannot be sent"),
    ],
)
def test_credentials_that_contradict(given: dict[str, str], words: str) -> None:
    said = {f"MEDVOL_DICOMWEB_{name}": value for name, value in given.items()}
    assert words in refused_by(lambda: credentials_for(LOCAL, said), "E_ARCHIVE").reason


def test_credentials_go_unencrypted_to_this_machine_alone() -> None:
    token = {"MEDVOL_DICOMWEB_TOKEN": "secret"}
    far = Address("http://archive.example/rs")
    for near in (LOCAL, Address("http://127.0.0.1/rs"), Address("http://[::1]/rs"), Address(ROOT)):
        assert credentials_for(near, token).token == "secret"
    error = refused_by(lambda: credentials_for(far, token), "E_ARCHIVE")
    assert "unencrypted" in error.reason
    assert "secret" not in str(error)
    allowed = credentials_for(far, {**token, "MEDVOL_DICOMWEB_PLAIN_HTTP": "1"})
    assert allowed.token == "secret"
    assert credentials_for(far, {}).header == ""


def write(path: Path, content: object, mode: int = 0o600) -> dict[str, str]:
    path.write_text(json.dumps(content), encoding="utf-8")
    path.chmod(mode)
    return {"MEDVOL_DICOMWEB_FILE": str(path), "MEDVOL_DICOMWEB_TOKEN": "of the environment"}


def test_a_file_says_which_archive_gets_what(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    said = write(tmp_path / "known.json", {
        "https://Archive.example:8043/": {"user": "a", "password": "b",
                                          "ca": str(tmp_path / "ca.pem")},
        "http://localhost:8042": {"token": "t"},
    })  # fmt: skip
    found = credentials_for(Address(ROOT), said)
    assert (found.user, found.password, found.ca) == ("a", "b", str(tmp_path / "ca.pem"))
    assert credentials_for(LOCAL, said).token == "t"
    other = credentials_for(Address("https://other.example/rs"), said)
    assert other.token == "of the environment"


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        ({"http://localhost:8042": {"token": "secret"}}, 0o640, "others may read"),
        ({"http://localhost:8042": {"pass": "secret"}}, 0o600, "unknown 'pass'"),
        ({"http://localhost:8042": {"token": 7}}, 0o600, "is not JSON of that form"),
        ({"http://localhost:8042": "secret"}, 0o600, "is not JSON of that form"),
        (["secret"], 0o600, "is not JSON of that form"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: object, mode: int, words: str) -> None:
    said = write(tmp_path / "known.json", content, mode)
    error = refused_by(lambda: credentials_for(LOCAL, said), "E_ARCHIVE")
    assert words in error.reason
    assert "secret" not in str(error)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent")
    refused_by(lambda: credentials_for(LOCAL, {"MEDVOL_DICOMWEB_FILE": absent}), "E_PATH")
    error = refused_by(lambda: credentials_for(LOCAL, {"MEDVOL_DICOMWEB_CA": absent}), "E_PATH")
    assert error.path == absent


def test_nothing_of_credentials_is_shown() -> None:
    assert repr(Credentials("a", "b")) == "Credentials(ca='', plain_http=False)"
    with pytest.raises(ValueError, match="an address has a series"):
        Address(ROOT, None, "1.2")
