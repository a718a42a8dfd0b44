# SPDX-License-Identifier: Apache-2.0
"""Personal data are found however they are spelled and wherever they lie; other bytes alarm not."""

import base64
import bz2
import gzip
import io
import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from pydicom import Dataset, dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

from medvol.bundle.find import shipped_bundles
from medvol.sharing.marks import marks_in
from medvol.sharing.personal import Personal, _found, masked, personal_in
from medvol.sharing.unfold import Room
from medvol.sharing.who import Who

NOBODY = Who()
ANNA = Who(frozenset({"annam42", "root", "abc"}), frozenset({"Anna Mueller", "anna@klinik.de"}))
PATIENT = "Mayer^Franz"


def found_in(folder: Path, content: bytes | str, name: str = "notes.txt", who: Who = NOBODY,
             ) -> list[Personal]:  # fmt: skip
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    found = [*personal_in(folder, who=who)]
    path.unlink()
    return found


@pytest.mark.parametrize(
    ("text", "kind", "shown"),
    [
        ("scan of Mayer^Franz, 1962", "the name of a patient", "Ma***^Fr***"),
        ("MAYER^FRANZ^XAVER", "the name of a patient", "MA***^FR***^XA***"),
        ("Müller^Jürgen", "the name of a patient", "Mü****^Jü****"),
        ("山田^太郎", "the name of a patient", "山田^太郎"),
        ("O'Neil^Sean", "the name of a patient", "O'Ne**^Se**"),
        ("PatientName: X", "data of a patient", "X"),
        ("(0010, 0010) Patient's Name     PN: 'Franz'", "data of a patient", "Fr***"),
        ('{"PatientID": "4711-B"}', "data of a patient", "47**-B"),
        ('{"00100020": {"vr": "LO", "Value": ["4711"]}}', "data of a patient", "47**"),
        ("<PatientBirthDate>19620314</PatientBirthDate>", "data of a patient", "19******"),
        ("MRN: 00412345", "data of a patient", "00******"),
        ("Geburtsdatum: 14.03.1962", "data of a patient", "14.03.19**"),
        ("patient_name = 'franz'", "data of a patient", "fr***"),
        ("see /home/fmayer/data/ct", "a path of a personal folder", "/ho**/fm****"),
        (
            "see /nas/people/home/fmayer/ct",
            "a path of a personal folder",
            "/na*/pe****/ho**/fm****",
        ),
        ("file:///Users/fmayer/ct", "a path of a personal folder", "/Us***/fm****"),
        (r"C:\Users\fmayer\ct", "a path of a personal folder", r"C:\Us***\fm****"),
        (r'"C:\\Users\\fmayer\\ct"', "a path of a personal folder", r"C:\\Us***\\fm****"),
        (r"\\klinik\radiologie\ct", "a path of a network drive", r"\\kl****\ra********"),
        ("ask franz.mayer@klinik.de", "an e-mail address", "fr***.ma***@kl****.de"),
        ("made by annam42.", "a name of this machine's user", "an*****"),
        ("made by Mueller, Anna", "a name of this machine's user", "Mu*****, An**"),
    ],
)
def test_what_names_somebody_is_found(tmp_path: Path, text: str, kind: str, shown: str) -> None:
    found = found_in(tmp_path, f"first line\n{text}\n", who=ANNA)

    assert [(one.kind, one.text) for one in found] == [(kind, shown)]
    assert found[0].place == "line 2"


@pytest.mark.parametrize(
    "text",
    [
        "loss = A^T B + Sigma^N, x^y, R^N, B1^B2, p^FDR",
        "PatientID = None; patient_id: str; def f(patient_id: int, patient_name=None)",
        '{"keys": ["PatientID", "PatientName", "StudyDate"]}',
        "`PatientID` is the column of patients; patients: 99; patient-wise: split",
        '{"PatientName": "anonymous", "PatientID": "unknown"}',
        "cd /home/user/data or C:\\Users\\you or /home/<name>, https://lab.org/home/page",
        "you@example.com, x@y.mT, noreply@github.com, git@github.com:lab/x.git, q@k.T",
        "@image_key $@network_def.to(torch.device(@device))",
        "abc root, annam421 and xannam42",
        'line\\nbreak \\\\ two "\\\\d+"',
    ],
)
def test_what_names_nobody_is_not(text: str) -> None:
    assert [*marks_in(text, ANNA)] == []


@pytest.mark.parametrize(
    ("name", "text", "kinds"),
    [
        ("LICENSE", "Copyright (c) Anna Mueller <anna@klinik.de>", []),
        ("docs/README.md", "Contact: anna@klinik.de", []),
        ("configs/metadata.json", '{"authors": "Anna Mueller", "copyright": "anna@klinik.de"}', []),
        ("configs/metadata.json", '{"references": ["x", "Anna Mueller: on lungs"]}', []),
        ("configs/metadata.json", '{"authors": "x", "output": "Anna Mueller"}',
         ["a name of this machine's user"]),
        ("LICENSE", "Copyright Mayer^Franz, /home/fmayer",
         ["the name of a patient", "a path of a personal folder"]),
    ],
)  # fmt: skip
def test_authors_may_be_named(tmp_path: Path, name: str, text: str, kinds: list[str]) -> None:
    assert [one.kind for one in found_in(tmp_path, text, name, ANNA)] == kinds


def as_zip(content: bytes, **options: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **options) as archive:  # type: ignore[arg-type]
        archive.writestr("inner.txt", content)
    return stream.getvalue()


SPELLINGS: dict[str, Callable[[str], bytes]] = {
    "utf-8": str.encode,
    "latin-1": lambda text: text.encode("latin-1"),
    "utf-16-le": lambda text: text.encode("utf-16-le"),
    "utf-16-be": lambda text: text.encode("utf-16-be"),
    "utf-16": lambda text: text.encode("utf-16"),
    "percent": lambda text: quote(text, safe="").encode(),
    "all percent": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()).encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 of utf-16": lambda text: base64.b64encode(text.encode("utf-16-le")),
    "urlsafe base64": lambda text: base64.urlsafe_b64encode(text.encode()).rstrip(b"="),
    "base64 twice": lambda text: base64.b64encode(base64.b64encode(text.encode())),
    "json escapes": lambda text: "".join(f"\\u{ord(char):04x}" for char in text).encode(),
    "html escapes": lambda text: "".join(f"&#{ord(char)};" for char in text).encode(),
}
LETTERS = "abcdefghijklmnopqrstuvwxyzäöüéøß"
NAMES = st.builds(str.capitalize, st.text(LETTERS, min_size=4, max_size=12)).filter(
    lambda name: name.isalpha() and name.istitle()
)


@pytest.mark.parametrize("spelling", SPELLINGS)
@settings(max_examples=25, deadline=None)
@given(family=NAMES, first=NAMES)
def test_a_name_is_found_in_every_spelling(spelling: str, family: str, first: str) -> None:
    content = SPELLINGS[spelling](f"{family}^{first}")
    for around in (content, b'{"x": "' + content + b'"}'):
        if around is not content and spelling == "utf-16":
            continue  # its mark stands at the start only
        found = [*_found(around, "x.txt", "", NOBODY, Room(), 0)]
        assert any(f"{family}^{first}" in text for _, _, text in found), (around, found)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(["<f4", "<f2", "u1", "<i2", "<i8"]))
def test_numbers_do_not_alarm(seed: int, kind: str) -> None:
    draw = np.random.default_rng(seed)
    content = (draw.normal(0, 0.05 if "f" in kind else 60, 100_000)).astype(kind).tobytes()
    noise = draw.bytes(200_000)

    assert [*_found(content, "x", "", ANNA, Room(), 0)] == []
    assert [*_found(noise, "x", "", ANNA, Room(), 0)] == []


def test_weights_behind_much_text_do_not_alarm() -> None:
    content = b"names of layers " * 300 + np.random.default_rng(5).bytes(3_000_000)

    assert [*_found(content, "net.onnx", "", ANNA, Room(), 0)] == []


@pytest.mark.parametrize("spelling", ["utf-8", "utf-16-le", "utf-16-be", "percent", "base64"])
@pytest.mark.parametrize("text", [PATIENT, "/home/fmayer/ct", "annam42 was here", "Anna Mueller"])
def test_among_random_bytes_too(tmp_path: Path, spelling: str, text: str) -> None:
    noise = np.random.default_rng(3).bytes(50_001)  # an odd number, and beyond a chunk's middle
    content = noise + b"\0" + SPELLINGS[spelling](text) + b"\0" + noise

    assert len(found_in(tmp_path, content, "weights.bin", ANNA)) == 1


def png(**texts: str) -> bytes:
    stream, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_text("plain", texts.get("plain", ""))
    info.add_text("packed", texts.get("packed", ""), zip=True)
    info.add_itxt("international", texts.get("international", ""), zip=True)
    Image.new("L", (4, 4)).save(stream, "png", pnginfo=info)
    return stream.getvalue()


def jpeg(text: str) -> bytes:
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x9C9D] = text.encode("utf-16-le")  # XPAuthor, as Windows writes it
    Image.new("L", (4, 4)).save(stream, "jpeg", exif=exif)
    return stream.getvalue()


def xmp(text: str) -> bytes:
    stream = io.BytesIO()
    packet = f"<x:xmpmeta><dc:creator>{text}</dc:creator></x:xmpmeta>".encode()
    Image.new("L", (4, 4)).save(stream, "jpeg", xmp=packet)
    return stream.getvalue()


def checkpoint(text: str, legacy: bool = False) -> bytes:
    stream = io.BytesIO()
    content = {"weight": torch.randn(500), "from": [text], "epoch": 3}
    torch.save(content, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


def safetensors(text: str) -> bytes:
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    from safetensors.torch import save

    return save({"weight": torch.randn(500)}, metadata={"from": text})


def nifti(text: str) -> bytes:
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4))
    image.header["descrip"] = text.encode()
    return gzip.compress(image.to_bytes())


def nifti_extension(text: str) -> bytes:
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", text.encode()))
    return image.to_bytes()


def npz(text: str) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, names=np.array([text]))
    return stream.getvalue()


def pdf(text: str) -> bytes:
    stream = zlib.compress(f"BT ({text}) Tj ET".encode())
    return b"%PDF-1.4\n1 0 obj <</Filter/FlateDecode>> stream\n" + stream + b"\nendstream\n%%EOF"


def unlisted(text: str) -> bytes:
    """A zip with a member of which its list says nothing."""
    listed, hidden = as_zip(b"nothing"), as_zip(text.encode(), compression=zipfile.ZIP_DEFLATED)
    member = hidden[: hidden.index(b"PK\x01\x02")]
    at = listed.index(b"PK\x01\x02")
    end = bytearray(listed[at:])
    place = len(end) - 6  # where the list stands
    end[place : place + 4] = struct.pack("<I", at + len(member))
    return listed[:at] + member + bytes(end)


HOLDERS: dict[str, Callable[[str], bytes]] = {
    "tEXt": lambda text: png(plain=text),
    "zTXt": lambda text: png(packed=text),
    "iTXt": lambda text: png(international=text),
    "EXIF": jpeg,
    "XMP": xmp,
    "checkpoint": checkpoint,
    "legacy checkpoint": lambda text: checkpoint(text, legacy=True),
    "safetensors": safetensors,
    "NIfTI": nifti,
    "NIfTI extension": nifti_extension,
    "npz": npz,
    "gzip": lambda text: gzip.compress(text.encode()),
    "gzip, second member": lambda text: gzip.compress(b"x\n") + gzip.compress(text.encode()),
    "gzip, behind its end": lambda text: gzip.compress(b"x") + text.encode(),
    "bzip2": lambda text: bz2.compress(text.encode()),
    "xz": lambda text: lzma.compress(text.encode()),
    "PDF": pdf,
    "stored zip": lambda text: as_zip(text.encode()),
    "deflated zip": lambda text: as_zip(text.encode(), compression=zipfile.ZIP_DEFLATED),
    "bzip2 zip": lambda text: as_zip(text.encode(), compression=zipfile.ZIP_BZIP2),
    "zip with an unlisted member": unlisted,
    "zip in a zip in base64": lambda text: base64.b64encode(as_zip(as_zip(text.encode()))),
    "behind a picture": lambda text: png() + text.encode(),
    "checkpoint in gzip in a zip": lambda text: as_zip(gzip.compress(checkpoint(text))),
}


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("text", [PATIENT, "/home/fmayer/ct", "by annam42"])
def test_it_is_found_in_what_files_hold(tmp_path: Path, holder: str, text: str) -> None:
    content = HOLDERS[holder](text)

    assert [one.kind for one in found_in(tmp_path, HOLDERS[holder]("nothing"), "x.bin", ANNA)] == []
    assert len(found_in(tmp_path, content, "x.bin", ANNA)) == 1


def test_a_field_of_a_checkpoint_and_its_value(tmp_path: Path) -> None:
    stream = io.BytesIO()
    torch.save({"state_dict": {"w": torch.zeros(3)}, "mrn": "00412345"}, stream)

    found = found_in(tmp_path, stream.getvalue(), "models/model.pt")

    assert [(one.kind, one.text) for one in found] == [("data of a patient", "00******")]
    assert found[0].place.endswith("data.pkl, its texts, line 1")


def test_fields_that_stand_apart_from_their_values(tmp_path: Path) -> None:
    nested = json.dumps({"patient": {"size": 3, "name": "Franz"}})
    table = "PatientID,slices\nF62-118,40\n"

    assert [one.text for one in found_in(tmp_path, nested, "case.json")] == ["Fr***"]
    assert [one.text for one in found_in(tmp_path, table, "cases.csv")] == ["F6*-11*"]


def test_a_dicom_file_whatever_its_name(tmp_path: Path) -> None:
    dataset = Dataset()
    dataset.PatientName, dataset.PatientID, dataset.SOPClassUID = "Mayer", "F62", "1.2.3"
    dataset.file_meta = Dataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    stream = io.BytesIO()
    dcmwrite(stream, dataset, implicit_vr=False, little_endian=True)

    assert [one.text for one in found_in(tmp_path, stream.getvalue(), "x.dat")] == ["Ma***", "F6*"]


def test_names_of_files_count(tmp_path: Path) -> None:
    found = found_in(tmp_path, "x", "docs/annam42_lung.txt", ANNA)

    assert [(one.file, one.place, one.text) for one in found] == [
        ("docs/annam42_lung.txt", "", "an*****")
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"7z\xbc\xaf\x27\x1c" + bytes(50), "it is a 7z archive"),
        (gzip.compress(bytes(1000), mtime=0)[:-9], "it cannot be unpacked (it is cut off)"),
        (b"PK\x03\x04" + bytes(50), "it cannot be unpacked (File is not a zip file)"),
    ],
)
def test_what_cannot_be_looked_into_is_said(tmp_path: Path, content: bytes, reason: str) -> None:
    found = found_in(tmp_path, content, "docs/more.bin")

    assert [one.text for one in found] == [reason]
    assert str(found[0]) == (
        f"docs/more.bin: it cannot be looked through for personal data: {reason}."
    )


def test_a_bomb_is_not_unpacked_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medvol.sharing.personal.Room", lambda: Room(1000))

    found = found_in(tmp_path, gzip.compress(bytes(10_000)), "x.gz")

    assert [one.text for one in found] == [
        "it cannot be unpacked (it is too large when it is unpacked)"
    ]


def test_archives_in_archives_have_an_end(tmp_path: Path) -> None:
    content = b"Mayer^Franz"
    for _ in range(12):
        content = as_zip(content)

    found = found_in(tmp_path, content, "x.zip")

    assert {one.text for one in found} >= {"it lies too deep in files that hold others"}


def test_who_uses_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "franzm"))
    monkeypatch.setenv("LOGNAME", "fmayer")
    monkeypatch.setattr("socket.gethostname", lambda: "ct-ward7.klinik.de")

    assert Who.here().accounts == {"franzm", "fmayer", "ct-ward7"}
    assert Who(frozenset({"root", "abc", "user"})).pattern is None


def test_masked_text_keeps_two_letters_of_a_word() -> None:
    assert masked("Franz Li, 1962") == "Fr*** Li, 19**"


# the check of each bundle, in tests/bundle/test_contract.py, looks too, with the user's own name
@pytest.mark.parametrize(
    "name",
    [
        name if number == 0 else pytest.param(name, marks=pytest.mark.slow)
        for number, name in enumerate(shipped_bundles())
    ],
)
def test_bundles_that_are_shipped_hold_none(name: str) -> None:
    folder = shipped_bundles()[name]
    small = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pt"]

    assert small
    found = [*personal_in(folder, who=Who(frozenset({"annam42"}), frozenset({"Anna Mueller"})))]
    assert found == []
