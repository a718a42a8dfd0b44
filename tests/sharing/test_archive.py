# SPDX-License-Identifier: Apache-2.0
"""A packed bundle is unpacked as it was packed; every odd archive is refused and leaves nothing."""

import os
import stat
import struct
import subprocess
import sys
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from refusals import full_disk, refused_by

from medvol.errors import InputError
from medvol.sharing import archive, zip_layout
from medvol.sharing.archive import quarantined

FILES = {
    "lungs/LICENSE": b"free",
    "lungs/configs/metadata.json": b'{"version": "1.0.0"}' * 100,
    "lungs/models/model.pt": os.urandom(5000),
}
LISTED_BYTES, LOCAL_BYTES, END_BYTES = 46, 30, 22  # of the fixed parts of headers, by APPNOTE


@pytest.fixture(autouse=True)
def quarantine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the quarantine, which must be empty after each test."""
    monkeypatch.setenv("MEDVOL_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "quarantine"
    yield folder
    assert not folder.exists() or list(folder.iterdir()) == []


def packed(path: Path, files: Mapping[str, bytes] = FILES, **options: int) -> Path:
    with zipfile.ZipFile(path, "w", options.get("method", zipfile.ZIP_DEFLATED)) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return path


def one(path: Path, change: Callable[[zipfile.ZipInfo], None], content: bytes = b"x") -> Path:
    """An archive of a good bundle and one member whose entry is changed before it is written."""
    packed(path)
    info = zipfile.ZipInfo("lungs/more")
    change(info)
    with zipfile.ZipFile(path, "a") as target:
        target.writestr(info, content)
    return path


def named(name: str) -> Callable[[zipfile.ZipInfo], None]:
    return lambda info: setattr(info, "filename", name)


def mode(bits: int) -> Callable[[zipfile.ZipInfo], None]:
    return lambda info: setattr(info, "external_attr", bits << 16)


def patched(path: Path, at: int, value: bytes) -> Path:
    """The archive with some bytes replaced; a negative place counts from the end."""
    content = bytearray(path.read_bytes())
    at %= len(content)
    content[at : at + len(value)] = value
    path.write_bytes(content)
    return path


def contents_at(path: Path) -> int:
    """Where the list of contents begins."""
    return struct.unpack_from("<I", path.read_bytes(), path.stat().st_size - 6)[0]


def refusal(path: Path, code: str, words: str) -> InputError:
    def enter() -> None:
        with quarantined(path):
            raise AssertionError("it was unpacked")

    error = refused_by(enter, code)
    assert words in error.reason, error.reason
    assert error.path == str(path)
    return error


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_it_is_unpacked_as_it_was_packed(tmp_path: Path, quarantine: Path, method: int) -> None:
    path = packed(tmp_path / "a.zip", {**FILES, "lungs/empty/": b"", "lungs/ü.txt": b""},
                  method=method)  # fmt: skip
    with quarantined(path) as folder:
        assert folder.name == "lungs"
        for name, content in FILES.items():
            assert (folder.parent / name).read_bytes() == content
        assert (folder / "ü.txt").read_bytes() == b""
        assert len(list(folder.rglob("*.*"))) == 3
        if os.name == "posix":
            assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
            assert stat.S_IMODE((folder / "LICENSE").stat().st_mode) & 0o111 == 0
        (left,) = quarantine.iterdir()
    assert not left.exists()


def test_it_goes_after_an_error_too_and_what_was_moved_away_stays(tmp_path: Path) -> None:
    def fail() -> None:
        with quarantined(packed(tmp_path / "a.zip")) as folder:
            folder.rename(tmp_path / "kept")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (tmp_path / "kept" / "LICENSE").read_bytes() == b"free"


def test_the_file_is_opened_once(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip")
    with quarantined(path) as folder:
        path.unlink()
        packed(path, {"lungs/LICENSE": b"another"})
        assert (folder / "LICENSE").read_bytes() == b"free"


def test_a_streamed_archive_with_sizes_behind_the_data_is_read(tmp_path: Path) -> None:
    """Such as `zip -` and the Finder write: the header in front says nothing of sizes."""

    class Pipe:
        def __init__(self) -> None:
            self.content = b""

        def write(self, data: bytes) -> int:
            self.content += data
            return len(data)

        def flush(self) -> None:
            pass

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in FILES.items():
            target.writestr(name, content)
    path = tmp_path / "a.zip"
    path.write_bytes(pipe.content)
    assert struct.unpack_from("<H", pipe.content, 6)[0] & 8
    with quarantined(path) as folder:
        assert (folder / "models" / "model.pt").read_bytes() == FILES["lungs/models/model.pt"]


def test_no_such_file_a_folder_and_a_pipe(tmp_path: Path) -> None:
    refusal(tmp_path / "none.zip", "E_PATH", "no such file")
    refusal(tmp_path, "E_PATH", "not a file")
    os.mkfifo(tmp_path / "pipe.zip")
    refusal(tmp_path / "pipe.zip", "E_PATH", "not a file")


def test_other_containers_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"")
    refusal(path, "E_EMPTY", "0 bytes")
    packed(path, {})
    refusal(path, "E_EMPTY", "holds no files")
    with tarfile.open(path, "w") as tar:
        tar.add(__file__, "lungs/LICENSE")
    refusal(path, "E_FORMAT", "a tar archive")
    for mark, words in (
        (b"7z\xbc\xaf\x27\x1c", "a 7z"),
        (b"\x1f\x8b\x08", "a gzip"),
        (b"MZ", "el"),
    ):
        path.write_bytes(mark + bytes(600))
        refusal(path, "E_FORMAT", words)
    packed(path, method=zipfile.ZIP_BZIP2)
    refusal(path, "E_FORMAT", "method 12")


NAMES = [
    "../outside", "lungs/../../outside", "/outside", "lungs//x", "lungs/./x", "C:/outside",
    "lungs\\x", "lungs/a\nb", "lungs/\x1b[2J", "lungs/\u202egnp.exe", "lungs/x ", "lungs/x.",
    "lungs/con", "lungs/nul.txt", "lungs/COM1.json", "lungs/" + "a/" * 15 + "x",
    "lungs/" + "a" * 195, "lungs/license", "lungs/Configs/x", "lungs/LICENSE/x", "lungs/configs",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_a_danger(tmp_path: Path, name: str) -> None:
    refusal(one(tmp_path / "a.zip", named(name)), "E_PATH", "in it ")
    assert [*tmp_path.rglob("outside")] == []


@pytest.mark.parametrize("name", ["lungs/" + "a/" * 14 + "x", "lungs/" + "a" * 194, "lungs/.hidden",
                                  "lungs/configs/con_2.json", "lungs/LICENSE2"])  # fmt: skip
def test_a_name_that_is_none(tmp_path: Path, name: str) -> None:
    with quarantined(one(tmp_path / "a.zip", named(name))) as folder:
        assert (folder.parent / name).read_bytes() == b"x"


def test_a_name_twice(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        one(tmp_path / "a.zip", named("lungs/LICENSE"))
    refusal(tmp_path / "a.zip", "E_PATH", "taken")
    composed = {"lungs/\u00e9": b"1", "lungs/e\u0301": b"2"}
    assert len({unicodedata.normalize("NFC", name) for name in composed}) == 1
    refusal(packed(tmp_path / "b.zip", composed), "E_PATH", "taken")


def test_a_name_that_is_not_marked_as_utf8(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"lungs/x\x7f": b""})
    path.write_bytes(path.read_bytes().replace(b"\x7f", b"\x81"))
    refusal(path, "E_PATH", "not in UTF-8")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK,
                                  stat.S_IFDIR])  # fmt: skip
def test_links_and_devices(tmp_path: Path, kind: int) -> None:
    refusal(one(tmp_path / "a.zip", mode(kind | 0o777), b"/etc"), "E_PATH", "not a file")


def test_links_and_folders_of_windows(tmp_path: Path) -> None:
    for bit in (0x400, 0x10):
        path = one(tmp_path / "a.zip", lambda info, b=bit: setattr(info, "external_attr", b))
        refusal(path, "E_PATH", "is a ")


def test_a_folder_with_content(tmp_path: Path) -> None:
    refusal(one(tmp_path / "a.zip", named("lungs/a/")), "E_PATH", "a file and a folder")


@pytest.mark.parametrize("names", [
    ["lungs/x", "livers/x"], ["x"], ["lungs/"], ["lungs", "lungs2/x"], ["two words/x"],
    ["__MACOSX/x", "lungs/x"],
])  # fmt: skip
def test_what_is_not_one_folder(tmp_path: Path, names: list[str]) -> None:
    refusal(packed(tmp_path / "a.zip", dict.fromkeys(names, b"")), "E_BUNDLE", "")


def test_caps_have_two_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    total = sum(map(len, FILES.values()))
    path = packed(tmp_path / "a.zip", method=zipfile.ZIP_STORED)
    for name, most in (("MOST_BYTES", total), ("MOST_FILE_BYTES", 5000)):
        for cap, fits in ((most, True), (most - 1, False)):
            with monkeypatch.context() as patch:
                patch.setattr(archive, name, cap)
                if fits:
                    with quarantined(path):
                        pass
                else:
                    refusal(path, "E_TOO_BIG", " MiB")
    with monkeypatch.context() as patch:
        patch.setattr(zip_layout, "MOST_MEMBERS", 3)
        with quarantined(path):
            pass
        patch.setattr(zip_layout, "MOST_MEMBERS", 2)
        refusal(path, "E_TOO_BIG", "has 3 members")


def test_a_bomb_is_refused_before_it_inflates(tmp_path: Path) -> None:
    small = packed(tmp_path / "a.zip", {"lungs/zeros": bytes(archive.SMALL_BYTES)})
    with quarantined(small) as folder:
        assert (folder / "zeros").stat().st_size == archive.SMALL_BYTES
    bomb = packed(tmp_path / "b.zip", {"lungs/zeros": bytes(archive.SMALL_BYTES + 1)})
    refusal(bomb, "E_TOO_BIG", "inflate more than 100 times")
    many = {f"lungs/{n}": bytes(archive.SMALL_BYTES // 4) for n in range(5)}
    refusal(packed(tmp_path / "c.zip", many), "E_TOO_BIG", "inflate more than 100 times")


def test_a_bomb_that_lies_about_its_size_writes_no_more_than_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "a.zip", {"lungs/zeros": bytes(50 << 20)})
    listed = contents_at(path)
    said = struct.pack("<I", 1000)
    patched(patched(path, 22, said), listed + 24, said)
    written: list[int] = []
    with monkeypatch.context() as patch:  # see what lay there before it went
        patch.setattr(archive, "remove", lambda folder: written.extend(
            file.stat().st_size for file in folder.rglob("zeros")))  # fmt: skip
        refusal(path, "E_CORRUPT", "not what the archive says")
    assert written == [0]
    with quarantined(packed(tmp_path / "b.zip")):  # sweeps nothing of a process that lives
        pass
    archive.remove(archive.quarantine_folder())


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "a.zip")
    with full_disk(2000):
        refused_by(lambda: quarantined(path).__enter__(), "E_NOSPACE")
    usage = archive.shutil.disk_usage(tmp_path)._replace(free=5000)
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda _: usage)
    error = refusal(path, "E_NOSPACE", "the disk has 0 MiB left")
    assert "MEDVOL_HOME" in error.remedy


def test_cut_anywhere(tmp_path: Path) -> None:
    whole = packed(tmp_path / "a.zip").read_bytes()
    cut = tmp_path / "cut.zip"
    for end in range(4, len(whole), 97):
        cut.write_bytes(whole[:end])
        refusal(cut, "E_TRUNCATED", "ends before")


def test_something_before_between_or_behind(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip")
    whole, listed = path.read_bytes(), contents_at(path)
    for content, code, words in (
        (b"#!/bin/sh\n" + whole, "E_FORMAT", "something else"),
        (whole[:4] + whole, "E_CORRUPT", "contradicts"),
        (whole + b"x", "E_CORRUPT", "follows"),
        (whole[:-2] + b"\x01\0x", "E_CORRUPT", "follows"),  # a comment
        (whole[:listed] + b"hidden" + whole[listed:-6] + struct.pack("<I", listed + 6) + bytes(2),
         "E_CORRUPT", "between"),
        (whole[:listed] + whole[listed:-END_BYTES] + b"more" + whole[-END_BYTES:-10]
         + struct.pack("<2I", len(whole) - END_BYTES - listed + 4, listed) + bytes(2),
         "E_CORRUPT", "holds more"),
    ):  # fmt: skip
        path.write_bytes(content)
        refusal(path, code, words)


def test_two_entries_of_one_place(tmp_path: Path) -> None:
    """Overlapping members, as in bombs that inflate a kernel many times."""
    path = packed(tmp_path / "a.zip", {"lungs/a": b"1", "lungs/b": b"1"})
    second = contents_at(path) + LISTED_BYTES + len("lungs/a")
    patched(path, second + 42, bytes(4))
    refusal(path, "E_CORRUPT", "contradicts")
    patched(path, second + LISTED_BYTES, b"lungs/a")
    refusal(path, "E_CORRUPT", "overlap")


FIELDS = {  # of the first header: bytes in the local one, in the list of contents
    "flags": (6, 8), "method": (8, 10), "crc": (14, 16), "packed": (18, 20), "size": (22, 24),
    "name": (LOCAL_BYTES, LISTED_BYTES),
}  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("which", [0, 1])
def test_header_against_list_of_contents(tmp_path: Path, field: str, which: int) -> None:
    path = packed(tmp_path / "a.zip")
    at = FIELDS[field][which] + (contents_at(path) if which else 0)
    value = {"flags": b"\x02", "method": b"\0", "name": b"L"}.get(field, b"\x77")
    refusal(patched(path, at, value), "E_CORRUPT", "contradicts")


@pytest.mark.parametrize(("place", "value", "code", "words"), [
    (8, b"\x01", "E_FORMAT", "encrypted"), (8, b"\x20", "E_CORRUPT", "unusual"),
    (34, b"\x01", "E_CORRUPT", "unusual"), (0, b"x", "E_CORRUPT", "damaged"),
    (28, b"\xff\xff", "E_CORRUPT", "damaged"), (32, b"\x05", "E_CORRUPT", "unusual"),
])  # fmt: skip
def test_odd_entries(tmp_path: Path, place: int, value: bytes, code: str, words: str) -> None:
    path = packed(tmp_path / "a.zip")
    refusal(patched(path, contents_at(path) + place, value), code, words)


@pytest.mark.parametrize(("place", "value", "words"), [
    (-END_BYTES + 10, b"\xff\xff", "zip64"), (-6, b"\xff\xff\xff\xff", "zip64"),
    (-END_BYTES + 8, b"\x07", "contradicts"), (-END_BYTES + 4, b"\x01", "contradicts"),
    (-10, b"\x01", "contradicts"),
])  # fmt: skip
def test_an_odd_end(tmp_path: Path, place: int, value: bytes, words: str) -> None:
    refusal(patched(packed(tmp_path / "a.zip"), place, value), "E_CORRUPT", words)


@pytest.mark.parametrize(
    ("kind", "words"), [(1, "zip64"), (0x7075, "unknown"), (0x9901, "unknown")]
)
def test_extra_fields_that_change_what_is_read(tmp_path: Path, kind: int, words: str) -> None:
    extra = struct.pack("<2H", kind, 4) + b"abcd"
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as target:
        info = zipfile.ZipInfo("lungs/a")
        info.extra = extra
        target.writestr(info, b"x")
    refusal(path, "E_CORRUPT", words)
    path.write_bytes(path.read_bytes().replace(extra, struct.pack("<2H", 0x5455, 4) + b"time"))
    with quarantined(path) as folder:
        assert (folder / "a").read_bytes() == b"x"
    path.write_bytes(path.read_bytes().replace(b"\4\0time", b"\5\0time"))
    refusal(path, "E_CORRUPT", "extra field")


def test_data_behind_the_end_of_what_is_compressed(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"lungs/a": b"abc" * 50})
    whole, listed = path.read_bytes(), contents_at(path)
    packed_bytes = struct.pack("<I", struct.unpack_from("<I", whole, 18)[0] + 6)
    entry = bytearray(whole[listed:-6] + struct.pack("<I", listed + 6) + bytes(2))
    entry[20:24] = packed_bytes
    path.write_bytes(whole[:18] + packed_bytes + whole[22:listed] + b"hidden" + entry)
    refusal(path, "E_CORRUPT", "not what the archive says")


def test_every_changed_byte_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    files = {"lungs/a": b"abc" * 9, "lungs/b": b"1"}
    path = packed(tmp_path / "a.zip", files)
    whole = path.read_bytes()
    unnoticed = 0
    for at in range(len(whole)):
        patched(path, at, bytes([whole[at] ^ 0x41]))
        try:
            with quarantined(path) as folder:
                for name, content in files.items():
                    assert (folder.parent / name).read_bytes() == content
                unnoticed += 1
        except InputError:
            pass
        path.write_bytes(whole)
    # versions, times, attributes and the name of the system that packed it
    assert 0 < unnoticed <= 2 * (LOCAL_BYTES - 26 + 2) + 2 * 14


def test_what_a_killed_process_left_is_swept(tmp_path: Path, quarantine: Path) -> None:
    path = packed(tmp_path / "a.zip")
    code = (
        "import os, signal, pathlib, sys\nfrom medvol.sharing.archive import quarantined\n"
        "with quarantined(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert len(list(quarantine.iterdir())) == 1
    with quarantined(path):
        assert len(list(quarantine.iterdir())) == 1  # its own


def test_weights_of_500_mb_pass_by_what_the_archive_says() -> None:
    weights = zip_layout.Member(
        "lungs/models/model.pt", zip_layout.DEFLATED, 0, 450 << 20, 500 << 20, 0, 0, 0, 0, b""
    )
    archive._check_sizes([weights], Path("a.zip"), free=501 << 20)
    with pytest.raises(InputError, match="E_NOSPACE"):
        archive._check_sizes([weights], Path("a.zip"), free=499 << 20)


def test_crc_is_that_of_zlib(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"lungs/a": b"abc"})
    with path.open("rb") as file:
        (member,) = zip_layout.read_layout(file, path)
    assert (member.crc, member.size, member.start) == (zlib.crc32(b"abc"), 3, 0)
