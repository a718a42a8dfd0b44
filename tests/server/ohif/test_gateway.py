"""The way to the archive: what is passed on, and what is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from archived import SERIES, STUDY, ct_study, give
from dicom_phantoms import write
from fastapi import FastAPI
from fastapi.testclient import TestClient
from orthanc import Orthanc, orthanc
from refusals import refused_by
from viewer_build import make_build

from medvol.dicomweb.client import Archive
from medvol.dicomweb.credentials import Credentials
from medvol.server.guard.guarded import guard
from medvol.server.ohif.build import Build
from medvol.server.ohif.gateway import Gateway
from medvol.server.ohif.routes import add_gateway, add_viewer
from medvol.server.routes.problems import add_problems
from medvol.server.settings import Settings

USER = ("viewer", "a-password-of-the-archive")
KNOWN = Credentials(*USER)
SHUT = "dicomweb+http://127.0.0.1:9/dicom-web"  # where nobody listens
INSTANCE = f"studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1"


def app_of(gateway: Gateway, folder: Path) -> FastAPI:
    """An app with the viewer and the way to its archive alone, and with its guards."""
    app = FastAPI()
    add_gateway(app.router, gateway)
    add_viewer(app.router, Build(make_build(folder / "dist")), takes=gateway.takes)
    add_problems(app)
    guard(app, Settings(folder / "state"))
    return app


def client_of(gateway: Gateway, folder: Path) -> TestClient:
    """A browser before it."""
    return TestClient(app_of(gateway, folder), base_url="http://127.0.0.1:8000")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An archive that asks for a password, with one study."""
    folder = tmp_path_factory.mktemp("archive")
    with orthanc(folder / "orthanc", user=USER) as running:
        give(running, ct_study(), folder / "study")
        yield running


@pytest.mark.parametrize(
    "path",
    ["studies", "series", "studies/1.2", "studies/1.2/series", "studies/1.2/metadata",
     "studies/1.2/series/1.3/metadata", "studies/1.2/series/1.3/instances/1.4/frames/1,2",
     "studies/1.2/series/1.3/instances/1.4/bulkdata/7fe00010", "studies/1.2/series/1.3/rendered",
     "studies/1.2/series/1.3/instances/1.4/frames/1/thumbnail"],
)  # fmt: skip
def test_what_a_viewer_reads_is_passed_on(path: str) -> None:
    gateway = Gateway(SHUT, KNOWN, takes=True)
    assert gateway.allows("GET", path)
    assert not gateway.allows("DELETE", path)


@pytest.mark.parametrize(
    "path",
    ["", "../system", "studies/../system", "studies/1.2/../../tools/shutdown", "changes",
     "studies/..", "studies/1.2/modify", "studies/1.2/series/1.3/instances/1.4/bulkdata/../x",
     "studies/1.2\n", "studies/1.2?x", "studies//1.2", "http://other/studies"],
)  # fmt: skip
def test_nothing_else_is(path: str) -> None:
    gateway = Gateway(SHUT, KNOWN, takes=True)
    assert not gateway.allows("GET", path)
    assert not gateway.allows("POST", path)


@pytest.mark.parametrize(("takes", "path", "allowed"), [
    (True, "studies", True), (True, "studies/1.2", True), (False, "studies", False),
    (True, "studies/1.2/series/1.3", False), (True, "series", False),
])  # fmt: skip
def test_only_what_is_to_be_stored_is_taken_and_only_where_the_archive_is_the_servers_own(
    takes: bool, path: str, allowed: bool
) -> None:
    assert Gateway(SHUT, KNOWN, takes=takes).allows("POST", path) == allowed


def test_an_answer_names_this_server_and_not_the_archive(archive: Orthanc, tmp_path: Path) -> None:
    client = client_of(Gateway(archive.address, KNOWN), tmp_path)
    answer = client.get("/dicom-web/studies")
    assert answer.headers["content-type"] == "application/dicom+json"
    assert [row["0020000D"]["Value"] for row in answer.json()] == [[STUDY]]
    assert answer.json()[0]["00081190"]["Value"] == [
        f"http://127.0.0.1:8000/dicom-web/studies/{STUDY}"
    ]
    assert archive.url not in answer.text
    rows = client.get(f"/dicom-web/studies/{STUDY}/series", params={"Modality": "MR"})
    assert (rows.status_code, rows.json()) == (200, [])  # what stands behind ? arrives


def test_the_voxels_of_a_slice_arrive(archive: Orthanc, tmp_path: Path) -> None:
    client = client_of(Gateway(archive.address, KNOWN), tmp_path)
    accept = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
    answer = client.get(f"/dicom-web/{INSTANCE}/frames/1", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("multipart/related")
    expected = ct_study()[0].PixelData
    assert len(expected) == 2048  # 32 x 32 x 2 bytes
    assert expected in answer.content


def test_what_is_stored_through_the_server_is_in_the_archive(
    archive: Orthanc, tmp_path: Path
) -> None:
    images = ct_study(study="1.2.3", series="1.2.3.4", slices=2)
    paths = write(tmp_path / "study", images)
    head = b"--x17\r\nContent-Type: application/dicom\r\n\r\n"
    body = b"".join(head + path.read_bytes() + b"\r\n" for path in paths) + b"--x17--\r\n"
    kind = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=x17'}
    before = len(archive.get("/instances"))
    closed = client_of(Gateway(archive.address, KNOWN), tmp_path)
    refused = closed.post("/dicom-web/studies", content=body, headers=kind)
    assert (refused.status_code, refused.json()["code"]) == (403, "E_ARCHIVE")
    assert len(archive.get("/instances")) == before
    takes = Gateway(archive.address, KNOWN, takes=True)
    stored = client_of(takes, tmp_path / "open").post(
        "/dicom-web/studies", content=body, headers=kind
    )
    assert stored.status_code == 200
    assert len(archive.get("/instances")) == before + 2


def test_what_the_archive_does_not_have_is_not_there(archive: Orthanc, tmp_path: Path) -> None:
    client = client_of(Gateway(archive.address, KNOWN), tmp_path)
    assert client.get("/dicom-web/studies/1.9/metadata").status_code == 404


def test_no_credentials_come_from_a_browser_or_go_to_it(archive: Orthanc, tmp_path: Path) -> None:
    """Of those of the browser none arrives, so a wrong password of the server stays wrong."""
    client = client_of(Gateway(archive.address, Credentials("viewer", "wrong")), tmp_path)
    answer = client.get("/dicom-web/studies", auth=USER)
    assert (answer.status_code, answer.json()["code"]) == (502, "E_ARCHIVE")
    assert "www-authenticate" not in answer.headers  # or a browser would ask for the archive's


def test_an_archive_that_cannot_be_reached_is_said_in_a_line(tmp_path: Path) -> None:
    error = refused_by(lambda: Gateway(SHUT, KNOWN).ask("GET", "studies", "", {}, ""), "E_ARCHIVE")
    assert "cannot be reached" in error.reason
    answer = client_of(Gateway(SHUT, KNOWN), tmp_path).get("/dicom-web/studies")
    assert (answer.status_code, answer.json()["code"]) == (502, "E_ARCHIVE")
    assert "127.0.0.1:9" not in answer.text


def test_files_of_the_viewer_and_its_pages(tmp_path: Path) -> None:
    client = client_of(Gateway(SHUT, KNOWN), tmp_path)
    page = client.get("/ohif/")
    assert page.headers["content-type"].startswith("text/html")
    assert client.get("/ohif", follow_redirects=False).headers["location"] == "/ohif/"
    viewer = client.get("/ohif/viewer?StudyInstanceUIDs=1.2")
    assert viewer.text == page.text == client.get("/ohif/index.html").text
    config = client.get("/ohif/app-config.js")
    assert "/dicom-web" in config.text
    assert "stock" not in config.text
    assert config.headers["cache-control"] == "no-cache"
    bundle = client.get("/ohif/app.bundle.0f6159c501addfe9.js")
    assert '.p = "/ohif/"' in bundle.text
    assert "immutable" in bundle.headers["cache-control"]
    icon = client.get("/ohif/assets/icon.svg")
    assert icon.text == "<svg/>"
    same = client.get("/ohif/assets/icon.svg", headers={"If-None-Match": icon.headers["etag"]})
    assert same.status_code == 304
    assert client.get("/ohif/0ddf166f7a343eda.wasm").headers["content-type"] == "application/wasm"


@pytest.mark.parametrize(
    "path",
    ["none.js", "app.bundle.js.map", "../secret.txt", "..%2Fsecret.txt", "%2e%2e/secret.txt",
     "assets/..%2F..%2Fsecret.txt", "/etc/passwd.txt", "assets%00.js"],
)  # fmt: skip
def test_no_other_file_is_sent(path: str, tmp_path: Path) -> None:
    client = client_of(Gateway(SHUT, KNOWN), tmp_path)
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    answer = client.get(f"/ohif/{path}")
    assert answer.status_code in (400, 404)
    assert "secret" not in answer.text


def test_dots_lead_to_no_other_place_of_the_archive(archive: Orthanc, tmp_path: Path) -> None:
    client = client_of(Gateway(archive.address, KNOWN), tmp_path)
    for path in ("studies/%2e%2e", "studies/%2e%2e/series", "%2e%2e/system"):
        answer = client.get(f"/dicom-web/{path}")
        assert answer.status_code >= 400
        assert "ApiVersion" not in answer.text


def test_medvol_itself_can_ask_through_the_server(archive: Orthanc) -> None:
    """`Archive` is what a command asks with; it needs no credentials of the archive here."""
    assert [x.uid for x in Archive(archive.address, KNOWN).series(STUDY)] == [SERIES]


def test_with_a_token_nothing_is_passed_on_or_sent_without_it(tmp_path: Path) -> None:
    token = "a-token-of-sixteen-or-more"
    app = FastAPI()
    add_gateway(app.router, Gateway(SHUT, KNOWN))
    add_viewer(app.router, Build(make_build(tmp_path / "dist")), takes=False)
    add_problems(app)
    guard(app, Settings(tmp_path / "state", token=token))
    client = TestClient(app, base_url="http://127.0.0.1:8000")
    for path in ("/dicom-web/studies", "/ohif/", "/ohif/app-config.js"):
        assert client.get(path).status_code == 401
    assert client.post("/login", json={"token": token}).status_code == 204  # a cookie, for OHIF too
    assert client.get("/ohif/").status_code == 200
    assert client.get("/dicom-web/studies").status_code == 502  # it got as far as the archive
