# SPDX-License-Identifier: Apache-2.0
"""An archive that fails: each way is one clear line, nothing half stays, no secret goes astray."""

import datetime
import io
import json
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path

import pytest
from archived import SERIES, STUDY, ct_study
from faulty_archive import Faulty, answer, faulty_archive
from pydicom.uid import DeflatedExplicitVRLittleEndian
from refusals import refused_by

from medvol.dicomweb.client import Archive
from medvol.dicomweb.credentials import Credentials
from medvol.errors import InputError

NOBODY = Credentials()
INSTANCE = f"{SERIES}.1"


def listed(tag: str, *uids: str) -> bytes:
    return json.dumps([{tag: {"vr": "UI", "Value": [uid]}} for uid in uids]).encode()


def file_of(number: int = 0) -> bytes:
    stream = io.BytesIO()
    ct_study()[number].save_as(stream, enforce_file_format=True)
    return stream.getvalue()


FILE = file_of()
MULTI = 'multipart/related; type="application/dicom"; boundary=line'
HEAD = b"--line\r\nContent-Type: application/dicom\r\n\r\n"
WHOLE = HEAD + FILE + b"\r\n--line--\r\n"


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    """Holds one series of one instance; a test says how it sends it."""
    monkeypatch.setattr("medvol.dicomweb.session.WAITS_S", (0.0, 0.0))
    with faulty_archive() as found:
        found.replies = {
            f"/studies/{STUDY}/series": answer(listed("0020000E", SERIES)),
            f"/series/{SERIES}/instances": answer(listed("00080018", INSTANCE)),
            f"/instances/{INSTANCE}": answer(WHOLE, MULTI),
            "/studies": answer(listed("0020000D", STUDY)),
        }
        yield found


def refused_fetch(faulty: Faulty, folder: Path, **options: object) -> InputError:
    client = Archive(faulty.address, NOBODY, **options)  # type: ignore[arg-type]
    error = refused_by(lambda: client.fetch(STUDY, SERIES, folder), "E_ARCHIVE")
    assert error.path == faulty.address
    assert [*folder.iterdir()] == []
    return error


def test_what_is_whole_is_taken(faulty: Faulty, tmp_path: Path) -> None:
    for body, kind in (
        (WHOLE, MULTI),
        (b"preamble\r\n" + WHOLE + b"after", MULTI.replace("line", '"line"')),
        (b"--line\r\n\r\n" + FILE + b"\r\n--line--", MULTI),
        (FILE, "application/dicom"),
    ):
        faulty.replies[f"/instances/{INSTANCE}"] = answer(body, kind)
        found = Archive(faulty.address, NOBODY).fetch(STUDY, SERIES, tmp_path)
        assert found.files[0].read_bytes() == FILE


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (answer(WHOLE[:-200], MULTI), "ends its answer before it is whole"),
        (answer(WHOLE[:-200], MULTI, length=len(WHOLE)), "ends its answer before it is whole"),
        (answer(FILE[:200], "application/dicom"), "damaged DICOM file"),
        (answer(b"<html>", "text/html"), "answers with text/html, not with DICOM"),
        (answer(b"<html>" * 9000, MULTI), "a body that has no parts"),
        (answer(WHOLE[:-10] + b"\r\n" + WHOLE, MULTI), "several instances"),
        (answer(HEAD + b"\r\n--line--", MULTI), "0 bytes"),
        (answer(b"PK", "application/dicom"), "not a DICOM file"),
        (answer(file_of(1), "application/dicom"), "another instance than was asked for"),
        (answer(FILE, "application/dicom", Content_Encoding="gzip"), "packs its answer"),
        (answer(status=401), "credentials, or does not accept those that it got (401"),
        (answer(status=403), "does not allow this (403"),
        (answer(status=404), "no such study or series, or no DICOMweb at this path (404"),
        (answer(status=406), "cannot send this as DICOM (406"),
        (answer(status=500), "answers with an error (500"),
        (answer(status=503), "answers with an error (503"),
        (answer(status=302, Location="http://localhost:9/x"), "sends on to another address (302)"),
        (answer(status=304), "sends on to another address (304)"),
        (answer(status=599), "answers with an error (599)."),
    ],
)  # fmt: skip
def test_each_fault_of_an_image_is_one_line(
    faulty: Faulty, tmp_path: Path, reply: object, words: str
) -> None:
    faulty.replies[f"/instances/{INSTANCE}"] = reply  # type: ignore[assignment]
    assert words in refused_fetch(faulty, tmp_path).reason


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (answer(b"<html>", "text/html"), "not DICOM JSON"),
        (answer(b"[{", "application/dicom+json"), "not DICOM JSON"),
        (answer(b"[]"), "no such study"),
        (answer(b""), "no such study"),
        (answer(b'[{"0020000E": 7}, 7, null]'), "no such study"),
        (answer(b'{"error": "x"}'), "no such study"),
        (answer(b"[]", length=9), "ends its answer before it is whole"),
        (answer(listed("0020000E", "1.2.3")), "no such series"),
        (answer(status=502), "answers with an error (502"),
    ],
)  # fmt: skip
def test_each_fault_of_a_list_is_one_line(
    faulty: Faulty, tmp_path: Path, reply: object, words: str
) -> None:
    faulty.replies[f"/studies/{STUDY}/series"] = reply  # type: ignore[assignment]
    assert words in refused_fetch(faulty, tmp_path).reason


def test_fewer_instances_than_it_says_are_not_taken_for_all(faulty: Faulty, tmp_path: Path) -> None:
    said = json.loads(listed("0020000E", SERIES))
    said[0]["00201209"] = {"vr": "IS", "Value": [2]}
    faulty.replies[f"/studies/{STUDY}/series"] = answer(json.dumps(said).encode())
    assert "only 1 of 2 instances" in refused_fetch(faulty, tmp_path).reason


def test_what_cannot_be_a_uid_is_not_asked_for(faulty: Faulty, tmp_path: Path) -> None:
    odd = "1.2/../../../admin?x"
    faulty.replies[f"/series/{SERIES}/instances"] = answer(listed("00080018", odd))
    assert "cannot be a UID" in refused_fetch(faulty, tmp_path).reason
    faulty.replies[f"/studies/{STUDY}/series"] = answer(listed("0020000E", odd))
    client = Archive(faulty.address, NOBODY)
    error = refused_by(lambda: client.fetch(STUDY, None, tmp_path), "E_ARCHIVE")
    assert "cannot be a UID" in error.reason
    assert not any("admin" in path for path in faulty.paths())


def test_a_busy_archive_is_asked_again_and_an_error_is_not(faulty: Faulty, tmp_path: Path) -> None:
    place = f"/instances/{INSTANCE}"
    replies = [answer(status=503), answer(WHOLE[:-9], MULTI, length=len(WHOLE)),
               answer(WHOLE, MULTI)]  # fmt: skip
    faulty.replies[place] = lambda request: replies.pop(0)(request)
    assert len(Archive(faulty.address, NOBODY).fetch(STUDY, SERIES, tmp_path).files) == 1
    assert replies == []
    faulty.asked.clear()
    faulty.replies[place] = answer(status=500)
    (tmp_path / "000001.dcm").unlink()
    refused_fetch(faulty, tmp_path)
    assert sum(path.endswith(place) for path in faulty.paths()) == 1


def test_one_that_is_slow_is_given_up(
    faulty: Faulty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleeps(_: BaseHTTPRequestHandler) -> None:
        time.sleep(1)

    def drips(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", MULTI)
        request.end_headers()
        for _ in range(1000):
            request.wfile.write(b"x")
            time.sleep(0.02)

    started = time.monotonic()
    faulty.replies[f"/instances/{INSTANCE}"] = sleeps
    assert "does not answer within 0.2 s" in refused_fetch(faulty, tmp_path, timeout_s=0.2).reason
    faulty.replies[f"/instances/{INSTANCE}"] = drips
    monkeypatch.setattr("medvol.dicomweb.session.WHOLE_S", 0.3)
    assert "not whole after 0.3 s" in refused_fetch(faulty, tmp_path).reason
    assert time.monotonic() - started < 15  # drips take 20 s


def test_one_that_sends_without_end_is_given_up(
    faulty: Faulty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", MULTI)
        request.end_headers()
        request.wfile.write(HEAD)
        while True:
            request.wfile.write(b"\0" * 65536)

    monkeypatch.setattr("medvol.dicomweb.fetch.MAX_BYTES", 1 << 20)
    faulty.replies[f"/instances/{INSTANCE}"] = endless
    client = Archive(faulty.address, NOBODY)
    error = refused_by(lambda: client.fetch(STUDY, SERIES, tmp_path), "E_TOO_BIG")
    assert "more than 1 MiB" in error.reason
    assert [*tmp_path.iterdir()] == []
    monkeypatch.setattr("medvol.dicomweb.session.MAX_JSON_BYTES", 1 << 20)
    faulty.replies["/studies"] = endless
    refused_by(client.studies, "E_TOO_BIG")


def test_an_image_that_inflates_without_end_is_refused(
    faulty: Faulty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    image = ct_study()[0]
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    stream = io.BytesIO()
    image.save_as(stream, enforce_file_format=True)
    start = stream.getvalue()
    (meta_bytes,) = struct.unpack_from("<I", start, 140)
    bomb = start[: 144 + meta_bytes] + packed.compress(bytes(4 << 20)) + packed.flush()
    monkeypatch.setattr("medvol.images.dicom.dataset.MAX_INFLATED_BYTES", 1 << 20)
    faulty.replies[f"/instances/{INSTANCE}"] = answer(bomb, "application/dicom")
    client = Archive(faulty.address, NOBODY)
    error = refused_by(lambda: client.fetch(STUDY, SERIES, tmp_path), "E_TOO_BIG")
    assert (error.path, [*tmp_path.iterdir()]) == (faulty.address, [])


def test_one_that_gives_the_same_page_for_ever_ends(faulty: Faulty) -> None:
    assert [one.uid for one in Archive(faulty.address, NOBODY).studies()] == [STUDY]
    assert len(faulty.asked) == 2


def test_nobody_at_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medvol.dicomweb.session.WAITS_S", (0.0,))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    client = Archive(f"dicomweb+http://127.0.0.1:{port}/rs", NOBODY)
    error = refused_by(client.studies, "E_ARCHIVE")
    assert "cannot be reached (Connection refused)" in error.reason
    error = refused_by(Archive("dicomweb+http://no.such.invalid/rs", NOBODY).studies, "E_ARCHIVE")
    assert "cannot be reached" in error.reason


def test_credentials_and_images_go_nowhere_else(
    faulty: Faulty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty_archive() as elsewhere:
        there = elsewhere.address.removeprefix("dicomweb+")
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, there.removesuffix("/dicom-web"))
        faulty.replies["/studies"] = answer(status=307, Location=f"{there}/studies")
        known = Archive(faulty.address, Credentials("medvol", "secret"))
        (tmp_path / "a.dcm").write_bytes(FILE)
        for call in (known.studies, lambda: known.store([tmp_path / "a.dcm"])):
            error = refused_by(call, "E_ARCHIVE")
            assert "secret" not in f"{error} {known.__dict__}"
        assert elsewhere.asked == []
        assert faulty.asked[0][2]["Authorization"] == "Basic bWVkdm9sOnNlY3JldA=="


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Files of a certificate for localhost that signs itself, and of its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    day, now = datetime.timedelta(days=1), datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("certificate")
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(signed.public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return str(folder / "cert.pem"), str(folder / "key.pem")


def test_certificates_are_checked(
    certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medvol.dicomweb.session.WAITS_S", ())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate[0])
    with faulty_archive(certificate) as found:
        found.replies["/studies"] = answer(listed("0020000D", STUDY))
        error = refused_by(Archive(found.address, NOBODY).studies, "E_ARCHIVE")
        assert "certificate is not accepted (self" in error.reason
        assert "MEDVOL_DICOMWEB_CA" in error.remedy
        known = Archive(found.address, Credentials(ca=certificate[0]))
        assert [one.uid for one in known.studies()] == [STUDY]


def failures(*codes: int) -> bytes:
    items = [
        {"00081155": {"vr": "UI", "Value": [f"1.{k}"]}, "00081197": {"vr": "US", "Value": [code]}}
        for k, code in enumerate(codes)
    ]
    return json.dumps({"00081198": {"vr": "SQ", "Value": items}}).encode()


XML = b"""<?xml version="1.0"?><NativeDicomModel>
<DicomAttribute tag="00081198" vr="SQ"><Item number="1">
<DicomAttribute tag="00081155" vr="UI"><Value number="1">1.1</Value></DicomAttribute>
<DicomAttribute tag="00081197" vr="US"><Value number="1">42754</Value></DicomAttribute>
</Item></DicomAttribute></NativeDicomModel>"""


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (answer(failures(0x0122, 0x0110), status=409),
         "did not store 2 objects: it takes no such class of objects (0122); it could not process "
         "it (0110)"),
        (answer(failures(0xA702, 0xC000), status=409), "it has no room (A702); it does not und"),
        (answer(status=409), "stored nothing, and does not say why"),
        (answer(status=413), "finds what is sent too large (413"),
        (answer(status=401), "(401 Unauthorized)"),
        (answer(status=503), "(503 Service Unavailable)"),
        (answer(b"<html>", "text/html"), "about what was stored cannot be read"),
        (answer(b'{"00081199": {"Value": [7]}}'), "about what was stored cannot be read"),
    ],
)  # fmt: skip
def test_each_fault_of_storing_is_one_line_and_is_not_repeated(
    faulty: Faulty, tmp_path: Path, reply: object, words: str
) -> None:
    faulty.replies["/studies"] = reply  # type: ignore[assignment]
    files = [tmp_path / "a.dcm", tmp_path / "b.dcm"]
    for path in files:
        path.write_bytes(FILE)
    error = refused_by(lambda: Archive(faulty.address, NOBODY).store(files), "E_ARCHIVE")
    assert words in error.reason
    assert len(faulty.asked) == 1
    assert all(path.read_bytes() == FILE for path in files)


def test_what_is_there_already_is_stored_and_the_rest_is_named(
    faulty: Faulty, tmp_path: Path
) -> None:
    files = [tmp_path / f"{name}.dcm" for name in "abc"]
    for path in files:
        path.write_bytes(FILE)
    client = Archive(faulty.address, NOBODY)
    faulty.replies["/studies"] = answer(failures(0x0111, 0x0111, 0x0111), status=409)
    assert client.store(files).stored == 3
    faulty.replies["/studies"] = answer(failures(0x0111, 0x0110), status=202)
    found = client.store(files)
    assert (found.stored, found.failed) == (2, {"1.1": "it could not process it (0110)"})
    faulty.replies["/studies"] = answer(XML, "application/dicom+xml", 202)
    found = client.store(files)
    assert (found.stored, found.failed) == (2, {"1.1": "it has no room (A702)"})
    faulty.replies["/studies"] = answer()
    assert client.store(files).stored == 3
    assert {headers["Content-Type"].partition(";")[0] for _, _, headers in faulty.asked} == {
        "multipart/related"
    }
