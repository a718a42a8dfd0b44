# SPDX-License-Identifier: Apache-2.0
"""What medvol wrote is replaced and removed, and nothing else."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from refusals import full_disk, refused_by

from medvol.errors import InputError
from medvol.files import write_text
from medvol.owned import (
    MANIFEST,
    RUN,
    check_owned,
    checksums,
    claim,
    filling,
    read_record,
    renewing,
    results_in,
    withdraw,
    write_record,
)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def fill(folder: Path, *, data: bool = False, **texts: str) -> None:
    """Fill a folder with files; `__` in a name stands for `/`, `_` for a dot."""
    with filling(folder, data=data) as scratch:
        for name, text in texts.items():
            write(scratch / name.replace("__", "/").replace("_", "."), text)


def run(folder: Path, *, at_end: Callable[[], None] = lambda: None, **texts: str) -> None:
    """The same with a record of a run; `at_end` is called before the files are moved."""
    with filling(folder) as scratch:
        for name, text in texts.items():
            write(scratch / name.replace("__", "/").replace("_", "."), text)
        write_record(scratch / RUN, {"files": checksums(scratch)})
        at_end()


def files(folder: Path) -> dict[str, str]:
    """Files and their text, but records."""
    return {
        p.relative_to(folder).as_posix(): p.read_text()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name not in (MANIFEST, RUN)
    }


def test_what_was_written_before_is_replaced_and_all_else_stays(tmp_path):
    write(tmp_path / "train" / "mine.txt", "mine")
    fill(tmp_path, train__b_txt="old", list_txt="old", other_txt="old")
    fill(tmp_path, train__b_txt="new", list_txt="new", test__d_txt="new")
    assert files(tmp_path) == {
        "list.txt": "new", "other.txt": "old", "test/d.txt": "new", "train/b.txt": "new",
        "train/mine.txt": "mine",
    }  # fmt: skip
    listed = json.loads((tmp_path / MANIFEST).read_text())["files"]
    del listed["other.txt"]
    assert listed == dict.fromkeys(
        ["train/b.txt", "list.txt", "test/d.txt"], hashlib.sha256(b"new").hexdigest()
    )


def test_a_failure_leaves_all_as_it_was(tmp_path):
    write(tmp_path / "train" / "a.txt", "old")

    def fail():
        with filling(tmp_path) as scratch:
            write(scratch / "train" / "b.txt", "new")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert [p.name for p in tmp_path.rglob("*")] == ["train", "a.txt"]


def test_a_failure_leaves_no_empty_folder(tmp_path):
    with full_disk(10), pytest.raises(InputError) as caught:
        fill(tmp_path / "new" / "case", a_txt="more than ten bytes")
    assert caught.value.code == "E_NOSPACE"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("record", [run, fill])
def test_a_file_that_was_changed_since_stays(tmp_path, record):
    record(tmp_path, a_txt="old", b_txt="old")
    write(tmp_path / "b.txt", "mine")
    error = refused_by(lambda: record(tmp_path, a_txt="new", b_txt="new"), "E_OUTPUT")
    assert (error.path, "was changed since" in error.reason) == (str(tmp_path / "b.txt"), True)
    assert files(tmp_path) == {"a.txt": "old", "b.txt": "mine"}
    (tmp_path / "b.txt").rename(tmp_path / "kept.txt")
    record(tmp_path, a_txt="new", b_txt="new")
    assert files(tmp_path) == {"a.txt": "new", "b.txt": "new", "kept.txt": "mine"}


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_a_file_that_was_never_listed_stays(tmp_path, what):
    mine = write(tmp_path / "elsewhere" / "mine", "mine")
    if what == "file":
        write(tmp_path / "out" / "a.txt", "mine")
    elif what == "folder":
        write(tmp_path / "out" / "a.txt" / "b", "mine")
    else:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "a.txt").symlink_to(mine)
    before = files(tmp_path)
    error = refused_by(lambda: fill(tmp_path / "out", a_txt="new"), "E_OUTPUT")
    assert error.path == str(tmp_path / "out" / "a.txt")
    assert "nothing says that medvol wrote it" in error.reason
    assert files(tmp_path) == before


def test_nothing_is_written_through_a_link_to_another_folder(tmp_path):
    write(tmp_path / "mine" / "a.txt", "mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "masks").symlink_to(tmp_path / "mine")
    error = refused_by(lambda: fill(tmp_path / "out", masks__b_txt="new"), "E_OUTPUT")
    assert error.path == str(tmp_path / "out" / "masks")
    assert files(tmp_path / "mine") == {"a.txt": "mine"}


def test_a_run_removes_what_an_older_one_wrote_besides(tmp_path):
    run(tmp_path, a_txt="old", masks__b_txt="old", more__c_txt="old")
    write(tmp_path / "more" / "mine.txt", "mine")
    run(tmp_path, a_txt="new")
    assert files(tmp_path) == {"a.txt": "new", "more/mine.txt": "mine"}
    assert not (tmp_path / "masks").exists()


def test_a_record_that_somebody_changed_says_nothing_and_stays(tmp_path):
    run(tmp_path, a_txt="old")
    record = json.loads((tmp_path / RUN).read_text())
    (tmp_path / RUN).write_text(json.dumps(record, indent=7, sort_keys=True))
    assert read_record(tmp_path / RUN)["files"] == {"a.txt": hashlib.sha256(b"old").hexdigest()}
    record["files"]["mine.txt"] = hashlib.sha256(b"mine").hexdigest()
    write(tmp_path / RUN, json.dumps(record))
    write(tmp_path / "mine.txt", "mine")
    assert read_record(tmp_path / RUN) == {}
    assert refused_by(lambda: run(tmp_path, b_txt="new"), "E_OUTPUT").path == str(tmp_path / RUN)
    assert refused_by(lambda: withdraw(tmp_path, ["mine.txt"]), "E_OUTPUT")
    assert files(tmp_path) == {"a.txt": "old", "mine.txt": "mine"}


@pytest.mark.parametrize(
    "name", ["../mine.txt", "a/../../mine.txt", "{root}/mine.txt", "C:x", "..\\x"]
)
def test_a_record_that_leads_out_of_its_folder_says_nothing(tmp_path, name):
    mine, out = write(tmp_path / "mine.txt", "mine"), tmp_path / "out"
    out.mkdir()
    digest = hashlib.sha256(b"mine").hexdigest()
    write_record(out / RUN, {"files": {name.format(root=tmp_path): digest}})
    assert read_record(out / RUN) == {}
    assert results_in(out) == set()
    assert refused_by(lambda: run(out, a_txt="new"), "E_OUTPUT").path == str(out / RUN)
    assert mine.read_text() == "mine"


def test_a_link_is_known_by_where_it_leads(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, name)
    with filling(tmp_path / "out", data=True) as scratch:
        (scratch / "x").symlink_to(tmp_path / "a")
    write(tmp_path / "a", "another content")
    check_owned(tmp_path / "out", ["x"])
    (tmp_path / "out" / "x").unlink()
    (tmp_path / "out" / "x").symlink_to(tmp_path / "b")
    assert refused_by(lambda: check_owned(tmp_path / "out", ["x"]), "E_OUTPUT")


# two lists are written, the first is laid there, the old record, a.txt and b.txt go out of the way,
# the second list comes, the new a.txt and masks/c.txt, the record, and the list goes
MOVES = 11


@pytest.mark.parametrize("done", range(MOVES))
def test_what_is_stopped_in_the_midst_of_the_moves_leaves_all_as_it_was(
    tmp_path, monkeypatch, done
):
    run(tmp_path, a_txt="old", b_txt="old")
    before, move, moved = files(tmp_path), os.replace, []

    def stopped(source, target):
        moved.append(target)
        if len(moved) == done + 1:
            raise KeyboardInterrupt  # a signal; on Windows a file that is open raises too
        move(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        run(
            tmp_path,
            a_txt="new",
            masks__c_txt="new",
            at_end=lambda: patch.setattr(os, "replace", stopped),
        )
    assert files(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", "b.txt", RUN}
    check_owned(tmp_path, ["a.txt", "b.txt", RUN])


@pytest.mark.parametrize("done", range(MOVES + 1))
def test_after_a_kill_in_the_midst_of_the_moves_the_next_run_replaces_what_is_there(
    tmp_path, monkeypatch, done
):
    run(tmp_path, a_txt="old", b_txt="old")
    move, moved = os.replace, []

    def killed(source, target):
        moved.append(target)
        if len(moved) <= done:
            move(source, target)

    with monkeypatch.context() as patch:
        run(
            tmp_path,
            a_txt="new",
            masks__c_txt="new",
            at_end=lambda: patch.setattr(os, "replace", killed),
        )
    assert len(moved) == MOVES
    complete = read_record(tmp_path / RUN).get("files")
    if done <= 3 or done >= MOVES - 1:  # the old record has not gone yet, or the new one has come
        assert complete is not None
        assert {name: checksums(tmp_path)[name] for name in complete} == complete
    else:
        assert complete is None
    check_owned(tmp_path, checksums(tmp_path))
    assert set(files(tmp_path)) <= results_in(tmp_path) | {"masks/c.txt"}
    run(tmp_path, d_txt="newer")
    assert files(tmp_path) == {"d.txt": "newer"}
    assert not (tmp_path / MANIFEST).exists()


def test_a_run_beside_what_other_commands_wrote(tmp_path):
    fill(tmp_path, a_txt="old", list_txt="list")
    run(tmp_path, a_txt="new")
    assert set(read_record(tmp_path / MANIFEST)["files"]) == {"list.txt"}
    run(tmp_path, b_txt="newer")
    assert files(tmp_path) == {"b.txt": "newer", "list.txt": "list"}


def test_a_record_of_another_program_hides_no_image(tmp_path):
    write(tmp_path / RUN, json.dumps({"files": {"ct.nii.gz": "a checksum"}}))
    assert results_in(tmp_path) == set()


def test_withdrawing_takes_all_or_nothing(tmp_path):
    fill(tmp_path, a_txt="old", b_txt="old")
    write(tmp_path / "b.txt", "mine")
    assert refused_by(lambda: withdraw(tmp_path, ["a.txt", "b.txt"]), "E_OUTPUT")
    assert files(tmp_path) == {"a.txt": "old", "b.txt": "mine"}
    withdraw(tmp_path, ["a.txt", "never.txt"])
    assert files(tmp_path) == {"b.txt": "mine"}


def test_what_is_renewed_is_ones_own_where_there_is_a_list(tmp_path):
    def renew(text):
        with renewing(tmp_path, ["a.txt"]):
            write(tmp_path / "a.txt", text)

    write(tmp_path / "a.txt", "mine")
    renew("no list, so it is as asked")
    assert not (tmp_path / MANIFEST).exists()
    claim(tmp_path, ["a.txt"])
    renew("one")
    renew("two")
    write(tmp_path / "a.txt", "mine")
    assert refused_by(lambda: renew("three"), "E_OUTPUT").path == str(tmp_path / "a.txt")
    assert files(tmp_path) == {"a.txt": "mine"}


def test_results_are_known_and_data_are_not_results(tmp_path, monkeypatch):
    run(tmp_path / "case", overlay_png="", masks__a_png="")
    fill(tmp_path / "case", errors_png="")
    fill(tmp_path / "set", data=True, ct_nii="", train__a_png="")
    fill(tmp_path / "set", overview_png="")
    write_text(tmp_path / "case" / "mine.png", "")
    assert results_in(tmp_path / "case") == {RUN, "overlay.png", "errors.png"}
    assert results_in(tmp_path / "case" / "masks") == {"a.png"}
    assert results_in(tmp_path / "set") == {"overview.png"}
    assert results_in(tmp_path / "set" / "train") == set()
    monkeypatch.chdir(tmp_path / "case" / "masks")
    assert results_in(Path()) == {"a.png"}
