# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all; tables, JSON and checksums."""

import csv
import hashlib
import os
from pathlib import Path

import pytest

from medvol.errors import InputError
from medvol.files import (
    check_writable,
    read_csv,
    read_json,
    replacing,
    sha256_of,
    sweep,
    write_csv,
    write_entries,
    write_json,
    write_text,
)

ODD = os.fsdecode(b"bad\xff")  # a file's name that is not UTF-8


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def files(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()
    }


def test_a_file_keeps_its_suffixes_while_it_is_written_and_the_usual_rights(tmp_path):
    with replacing(tmp_path / "new" / "mask.nii.gz") as temporary:
        assert temporary.name.endswith(".nii.gz")
        temporary.write_text("whole")
    assert (tmp_path / "new" / "mask.nii.gz").read_text() == "whole"
    plain = write(tmp_path / "plain", "")
    assert (tmp_path / "new" / "mask.nii.gz").stat().st_mode == plain.stat().st_mode


def test_an_older_file_stays_when_writing_fails(tmp_path):
    write(tmp_path / "a.json", "old")
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "a.json", {"dice": float("nan")})
    with pytest.raises(ValueError, match="1 values for 2 columns"):
        write_csv(tmp_path / "a.json", ("a", "b"), [(1, 2), (1,)])
    assert files(tmp_path) == {"a.json": "old"}


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    write(tmp_path / "taken", "")
    with pytest.raises(InputError, match="could not be written") as caught:
        write_text(tmp_path / "taken" / "a.txt", "text")
    assert caught.value.code == "E_NOSPACE"


def test_a_table_has_a_line_of_names_and_a_line_a_row(tmp_path):
    write_csv(tmp_path / "t.csv", ("name", "ml"), [("left, lower", "1.50"), ("Größe", None)])
    assert (tmp_path / "t.csv").read_bytes() == 'name,ml\n"left, lower",1.50\nGröße,\n'.encode()


def test_a_table_writes_the_name_of_a_file_as_text_or_as_it_lies_on_the_disk(tmp_path):
    write_csv(tmp_path / "t.csv", ["file"], [[ODD]])
    assert (tmp_path / "t.csv").read_bytes() == b"file\nbad\\udcff\n"
    write_csv(tmp_path / "t.csv", ["file"], [[ODD]], errors="surrogateescape")
    assert (tmp_path / "t.csv").read_bytes() == b"file\nbad\xff\n"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("+a", "'+a"), ("-a", "'-a"),
        ("-", "'-"), ("\tx", "'\tx"), ("\n=x", "'\n=x"), ("\uff1d1", "'\uff1d1"),
        ("-600.5", "-600.5"), ("+1e-3", "+1e-3"), ("-inf", "-inf"),
        ("a=1", "a=1"), ("", ""), ("'a", "'a"), ("'=1", "''=1"), ("''-a", "'''-a"),
    ],
)  # fmt: skip
def test_a_text_in_a_table_is_never_a_formula_and_comes_back_as_it_was(tmp_path, text, cell):
    write_csv(tmp_path / "t.csv", ("name", "number"), [(text, -2)])
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["name", "number"], [cell, "-2"]]
    assert read_csv(tmp_path / "t.csv") == [{"name": text, "number": "-2"}]


def test_a_carriage_return_ends_no_row(tmp_path):
    write_csv(tmp_path / "t.csv", ("name",), [("a\r=1+1",)])
    assert read_csv(tmp_path / "t.csv") == [{"name": "a\\r=1+1"}]


def test_json_is_indented_in_the_order_given_and_ends_with_a_line_end(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1], "a": Path("ö")})
    assert (tmp_path / "a.json").read_text("utf-8") == '{\n  "b": [\n    1\n  ],\n  "a": "ö"\n}\n'
    write_json(tmp_path / "a.json", {"b": [1], "a": ODD}, indent=None)
    assert (tmp_path / "a.json").read_text("utf-8") == '{"b": [1], "a": "bad\\udcff"}\n'


def test_entries_stand_on_a_line_each(tmp_path):
    write_entries(tmp_path / "a.json", {"roi_size": [96, 96], "loss": {"a": 1}})
    text = '{\n  "roi_size": [96, 96],\n  "loss": {"a": 1}\n}\n'
    assert (tmp_path / "a.json").read_text("utf-8") == text
    read = read_json(tmp_path / "a.json", what="record", remedy="Mend it.")
    assert read == {"roi_size": [96, 96], "loss": {"a": 1}}


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [(None, "E_PATH", "the record cannot be opened"), ("{", "E_FORMAT", "this record is not JSON"),
     ("[1]", "E_FORMAT", "this record is not a JSON object")],
)  # fmt: skip
def test_json_that_cannot_be_read_is_refused(tmp_path, text, code, said):
    if text is not None:
        write(tmp_path / "a.json", text)
    with pytest.raises(InputError, match=said) as caught:
        read_json(tmp_path / "a.json", what="record", remedy="Remove its folder.")
    assert (caught.value.code, caught.value.remedy) == (code, "Remove its folder.")


def test_a_byte_order_mark_is_passed_by(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "a.json", what="list", remedy="Mend it.") == {"a": 1}


def test_json_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 200_000)
    with pytest.raises(InputError, match="nested too deeply") as caught:
        read_json(tmp_path / "a.json", what="list", remedy="Mend it.")
    assert caught.value.code == "E_FORMAT"
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfcase,z\na,1\n")
    assert read_csv(tmp_path / "a.csv") == [{"case": "a", "z": "1"}]


def test_checksum_of_a_file_is_of_its_bytes(tmp_path):
    content = bytes(range(256)) * 5000  # more than one chunk
    (tmp_path / "a").write_bytes(content)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_checksum_of_a_folder_is_of_names_and_contents(tmp_path):
    write(tmp_path / "b", "two")
    write(tmp_path / "sub" / "a", "one")
    lines = f"b {sha256_of(tmp_path / 'b')}\nsub/a {sha256_of(tmp_path / 'sub' / 'a')}\n"
    assert sha256_of(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()
    (tmp_path / "b").rename(tmp_path / "c")
    assert sha256_of(tmp_path) != hashlib.sha256(lines.encode()).hexdigest()


def test_checksum_of_two_files_of_one_image_passes_others_by(tmp_path):
    header, data = write(tmp_path / "ct.hdr", "h"), write(tmp_path / "ct.img", "d")
    whole = sha256_of(tmp_path)
    write(tmp_path / "other.txt", "")
    assert sha256_of(header, (data, header)) == whole
    assert sha256_of(tmp_path) != whole


def test_what_cannot_be_written_names_the_output_and_another_file_itself(tmp_path):
    with pytest.raises(InputError, match="could not be written") as caught:
        write_text("/proc/nowhere/a.txt", "text")
    assert (caught.value.code, caught.value.path) == ("E_NOSPACE", "/proc/nowhere/a.txt")
    long = tmp_path / ("n" * 300)
    with pytest.raises(InputError, match="File name too long") as caught:
        write_text(long, "text")
    assert (caught.value.code, caught.value.path) == ("E_NOSPACE", str(long))

    def read_another():
        with replacing(tmp_path / "a" / "out.txt"):
            (tmp_path / "none.txt").read_text()

    with pytest.raises(FileNotFoundError):  # an input, of which the caller speaks
        read_another()


def test_a_folder_is_tried_before_work_starts_and_nothing_stays_of_it(tmp_path):
    check_writable(tmp_path / "a" / "b")
    check_writable(tmp_path)
    assert [*tmp_path.iterdir()] == []
    write(tmp_path / "file", "")
    for folder in (tmp_path / "file", tmp_path / "file" / "b"):
        with pytest.raises(InputError, match="it is a file; ") as caught:
            check_writable(folder)
        assert (caught.value.code, caught.value.path) == ("E_OUTPUT", str(tmp_path / "file"))
    for folder in (Path("/proc/none"), tmp_path / ("n" * 300)):
        with pytest.raises(InputError, match="could not be written") as caught:
            check_writable(folder)
        assert (caught.value.code, caught.value.path) == ("E_NOSPACE", str(folder))


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path):
    out = tmp_path / "out"
    write(out / "a" / ".medvol-77-x" / "mask.nii.gz", "half")
    write(out / "a" / ".medvol-77-y.json", "half")
    write(out / "b" / ".medvol-77-x" / "mask.nii.gz", "half")
    write(out / "b" / ".medvol-7-x" / "mask.nii.gz", "of another process")
    (out / "c").mkdir()
    for case in "abc":
        sweep(out / case, 77, out)
    assert files(tmp_path) == {"out/b/.medvol-7-x/mask.nii.gz": "of another process"}
    assert sorted(p.name for p in out.iterdir()) == ["b", "c"]
    write(tmp_path / "new" / "a" / ".medvol-77-x" / "mask.nii.gz", "half")
    sweep(tmp_path / "new" / "a", 77, tmp_path / "new")
    assert not (tmp_path / "new").exists()
