"""No address leads to a file that is not meant: neither by the guards nor by the routes alone."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from raw_asgi import ask

from medvol.server.app import FACES
from medvol.server.routes.problems import add_problems
from medvol.server.service import Service

SECRET = "nobody may read this"
HIDDEN = ("/page/{name}", "/ohif/{name}", "/dicom-web/{name}")  # routes that OpenAPI does not show
ODD = (
    "../{up}", "../../{up}", "../../../{up}", "../../../../{up}", "{secret}", "/{secret}",
    "..\\..\\{up}", "%2e%2e/%2e%2e/{up}", "..%2f..%2f{up}", "....//....//{up}",
    "a/../../../{up}", "./../../{up}", "../../{up}\0.json", "\uff0e\uff0e/\uff0e\uff0e/{up}",
    "\u2025/\u2025/{up}", "~/{up}", "file://{secret}", "C:{secret}", "..;/..;/{up}", ".", "..",
    "\0", "\ud800", "a" * 5000, "-", "*", "${{HOME}}", "{{{{7*7}}}}", "%00", "\r\nX-A: 1",
)  # fmt: skip


@pytest.fixture(scope="module")
def done(service: Service, chest_file: Path) -> str:
    """A job that is done, beside whose folders lies a file that nobody may read."""
    state = service.settings.folder
    for folder in (state, state.parent, state / "results"):
        (folder / "secret.txt").write_text(SECRET, encoding="utf-8")
    with service.images.receiving("chest.nii.gz") as coming:
        coming.write(chest_file.read_bytes())
    assert coming.stored is not None
    job = service.submit(coming.stored.id, "tiny_ct")
    assert service.jobs.wait(job.id, 180).state == "done"
    return job.id


@pytest.fixture(scope="module")
def bare(service: Service) -> FastAPI:
    """The routes without what stands before them."""
    app = FastAPI()
    for face in FACES:
        app.include_router(face(service))
    add_problems(app)
    return app


def addresses(app: FastAPI, job: str, secret: Path) -> Iterator[tuple[str, str]]:
    """A method and a path for every parameter of every route, and every odd value of it."""
    paths = app.openapi()["paths"]
    shown = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    for method, path in [*shown, *(("GET", path) for path in HIDDEN)]:
        for name in re.findall(r"\{(\w+)\}", path):
            for odd in ODD:
                value = odd.format(up="secret.txt", secret=secret)
                known = path.replace("{job}", job) if name != "job" else path
                yield method, re.sub(r"\{\w+\}", "x", known.replace(f"{{{name}}}", value))


@pytest.mark.parametrize("which", ["app", "bare"])
def test_no_address_leads_elsewhere(
    request: pytest.FixtureRequest, which: str, service: Service, done: str
) -> None:
    app = request.getfixturevalue(which)
    secret = service.settings.folder / "secret.txt"
    asked = [*addresses(app, done, secret)]
    assert len(asked) >= 9 * len(ODD)
    for method, path in asked:
        answer = ask(app, method, path)
        assert 300 <= answer.status < 500, (method, path, answer)
        assert SECRET.encode() not in answer.content
        assert "x-a" not in answer.headers
        assert str(service.settings.folder).encode() not in answer.content
    assert service.jobs.get(done).state == "done"


def test_the_files_of_a_job_are_there_all_the_same(client: TestClient, done: str) -> None:
    for file in client.get(f"/api/jobs/{done}").json()["files"]:
        answer = client.get(f"/api/jobs/{done}/files/{file['name']}")
        assert (file["name"], answer.status_code) == (file["name"], 200)
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["content-security-policy"].startswith("sandbox")
