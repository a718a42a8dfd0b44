"""What stands before the routes: who may ask, from where, and how much."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from medvol.server.guard.guarded import guard
from medvol.server.guard.headers import RESULT, STRICT, VIEWER
from medvol.server.routes.problems import add_problems
from medvol.server.settings import Settings

TOKEN = "0123456789abcdef"
HERE = "http://127.0.0.1:8000"


def guarded(tmp_path: Any, **fields: Any) -> TestClient:
    """A client of an app with four routes behind the guards."""
    app = FastAPI()

    @app.get("/api/jobs")
    def jobs() -> dict[str, str]:
        return {}

    @app.get("/api/jobs/{job}/files/{name:path}")
    def file(job: str, name: str) -> str:
        return job + name

    @app.post("/api/images")
    async def images(request: Request) -> int:
        return sum([len(part) async for part in request.stream()])

    @app.post("/infer/{model}")
    async def infer(model: str, request: Request) -> int:
        async with request.form() as form:
            return len(form) + 0 * len(model)

    @app.get("/fails")
    def fails() -> None:
        raise RuntimeError("Jane^Doe in /home/secret")

    add_problems(app)
    guard(app, Settings(tmp_path, **fields))
    return TestClient(app, base_url=HERE)


@pytest.fixture
def open_(tmp_path: Any) -> TestClient:
    """A client of a server without a token."""
    return guarded(tmp_path, largest_bytes=3_000_000)


@pytest.fixture
def closed(tmp_path: Any) -> TestClient:
    """A client of a server with one."""
    return guarded(tmp_path, token=TOKEN)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200), ("localhost", 200), ("LOCALHOST:9000", 200), ("[::1]:8000", 200),
        ("10.0.0.7", 200), ("localhost.", 200), ("evil.test", 421), ("localhost.evil.test", 421),
        ("evil.test:8000", 421), ("127.0.0.1.evil.test", 421), ("localhost@evil.test", 421),
        ("", 421), ("a b", 421),
    ],
)  # fmt: skip
def test_only_its_own_names_reach_the_server(open_: TestClient, host: str, status: int) -> None:
    answer = open_.get("/api/jobs", headers={"Host": host})
    assert answer.status_code == status
    assert status == 200 or answer.json()["code"] == "E_ORIGIN"


def test_a_name_that_it_was_told_of_is_its_own(tmp_path: Any) -> None:
    client = guarded(tmp_path, names=["Medvol.hospital.example"])
    for host, status in (("medvol.hospital.example", 200), ("hospital.example", 421)):
        assert client.get("/api/jobs", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200), ({"Origin": HERE}, 200), ({"Origin": "https://127.0.0.1:8000"}, 200),
        ({"Origin": "http://127.0.0.1:9999"}, 403), ({"Origin": "http://evil.test"}, 403),
        ({"Origin": "null"}, 403), ({"Origin": "127.0.0.1:8000"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200), ({"Sec-Fetch-Site": "none"}, 200),
    ],
)  # fmt: skip
def test_pages_elsewhere_change_nothing(
    open_: TestClient, headers: dict[str, str], status: int
) -> None:
    answer = open_.post("/api/images", content=b"1234", headers=headers)
    assert answer.status_code == status
    assert status != 200 or answer.json() == 4
    assert "access-control-allow-origin" not in answer.headers


def test_an_allowed_origin_may_ask_and_read(tmp_path: Any) -> None:
    viewer = "https://viewer.example"
    client = guarded(tmp_path, origins=[viewer], token=TOKEN)
    asks = {"Origin": viewer, "Access-Control-Request-Method": "POST"}
    before = client.options("/api/images", headers=asks)
    assert before.status_code == 204
    assert before.headers["access-control-allow-origin"] == viewer
    assert "Authorization" in before.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in before.headers
    refused = client.options("/api/images", headers={**asks, "Origin": "https://evil.test"})
    assert refused.status_code == 403
    assert "access-control-allow-origin" not in refused.headers
    for token, status in ((TOKEN, 200), ("wrong", 401)):  # the page may read why, too
        headers = {"Origin": viewer, "Authorization": f"Bearer {token}"}
        answer = client.post("/api/images", content=b"12", headers=headers)
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == viewer


@pytest.mark.parametrize("method", ["PROPFIND", "MKCOL", "TRACE", "CONNECT", "LOCK", "get"])
def test_odd_methods_are_not_allowed(open_: TestClient, method: str) -> None:
    answer = open_.request(method, "/api/jobs")
    assert answer.status_code == (200 if method == "get" else 405)  # the client writes GET


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/jobs?" + "a" * 8181, {}, 200), ("/api/jobs?" + "a" * 8184, {}, 414),
        ("/api/jobs", {"X-A": "a" * 16_000}, 200), ("/api/jobs", {"X-A": "a" * 16_500}, 431),
        ("/api/jobs", {f"X-{k}": "" for k in range(90)}, 200),
        ("/api/jobs", {f"X-{k}": "" for k in range(101)}, 431),
        ("/api/jobs%00", {}, 400), ("/api/%2e%2e/jobs", {}, 400), ("/api/..%2fjobs", {}, 400),
        ("/api/%5c..%5cjobs", {}, 400), ("/api/jobs%0d%0a", {}, 400), ("/api/jobs/%2e", {}, 400),
        ("/api/jobs/1/files/%2e%2e", {}, 400), ("/api/jobs/1/files/a..b", {}, 200),
        ("/api/jobs/1/files/.a", {}, 200),
    ],
)  # fmt: skip
def test_long_addresses_and_headers_are_refused(
    open_: TestClient, path: str, headers: dict[str, str], status: int
) -> None:
    assert open_.get(path, headers=headers).status_code == status


def test_bodies_are_small_but_for_images(open_: TestClient) -> None:
    mib = 1 << 20
    for path, size, status in (
        ("/api/images", 3_000_000, 200), ("/api/images", 3_000_001, 413),
        ("/infer/m", mib + 1, 413), ("/login", mib + 1, 413),
    ):  # fmt: skip
        answer = open_.post(path, content=b"a" * size)
        assert (path, answer.status_code) == (path, status)
        assert status == 200 or answer.json()["code"] == "E_TOO_BIG"


def test_a_body_without_a_length_is_counted_as_it_comes(open_: TestClient) -> None:
    sent = []

    def endless() -> Iterator[bytes]:
        while len(sent) < 1000:
            sent.append(1)
            yield b"a" * 100_000

    answer = open_.post("/api/images", content=endless())
    assert (answer.status_code, answer.json()["code"]) == (413, "E_TOO_BIG")


def test_a_form_may_have_64_parts_and_a_series_more(open_: TestClient) -> None:
    for path, parts, status in (
        ("/infer/m", 64, 200),
        ("/infer/m", 65, 413),
        ("/session", 65, 404),
    ):
        fields = [("f", ("a.txt", b"1")) for _ in range(parts)]
        assert open_.post(path, files=fields).status_code == status


@pytest.mark.parametrize("length", ["-1", "1e3", "9" * 30, "١"])
def test_a_length_that_is_no_size_is_refused(open_: TestClient, length: str) -> None:
    headers = {b"Content-Length": length.encode()}
    answer = open_.post("/api/images", content=iter(()), headers=headers)
    assert answer.status_code == (413 if length.isascii() and length.isdigit() else 400)


@pytest.mark.parametrize(
    ("path", "policy"),
    [("/api/jobs", STRICT), ("/nothing", STRICT), ("/api/jobs/1/files/report.html", RESULT),
     ("/ohif/viewer", VIEWER), ("/ohifx", STRICT)],
)  # fmt: skip
def test_every_answer_says_how_little_it_may_do(open_: TestClient, path: str, policy: str) -> None:
    headers = open_.get(path).headers
    assert headers["content-security-policy"] == policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


def test_no_policy_allows_inline_scripts_or_other_places() -> None:
    for policy in (STRICT, RESULT, VIEWER):
        rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
        scripts = rules.get("script-src", rules["default-src"])
        assert not {"'unsafe-inline'", "*", "data:"} & {*scripts.split()}
        assert policy is VIEWER or "eval" not in policy
        assert "http" not in policy
        assert "*" not in policy


def test_a_failing_route_says_nothing_of_why(
    open_: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = open_.get("/fails")
    assert (answer.status_code, answer.json()["code"]) == (500, "E_FAILED")
    assert answer.headers["content-security-policy"] == STRICT
    assert len(caplog.records) == 1
    assert "RuntimeError" in caplog.text
    assert "test_guarded.py" in caplog.text
    for text in (caplog.text, answer.text):
        assert "Jane" not in text
        assert "secret" not in text
        assert "Traceback" not in text


@pytest.mark.parametrize(
    ("shown", "status"),
    [(None, 401), (f"Bearer {TOKEN}", 200), (f"bearer {TOKEN}", 200), (f"Basic {TOKEN}", 401),
     (f"Bearer {TOKEN[:-1]}", 401), (f"Bearer {TOKEN}0", 401), ("Bearer", 401),
     ("Bearer \xff", 401)],
)  # fmt: skip
def test_only_the_token_opens(closed: TestClient, shown: str | None, status: int) -> None:
    headers = {b"Authorization": shown.encode("latin-1")} if shown else {}
    assert closed.get("/api/jobs", headers=headers).status_code == status


def test_a_page_logs_in_and_out(closed: TestClient) -> None:
    assert closed.post("/login", json={"token": "wrong" * 5}).status_code == 401
    answer = closed.post("/login", json={"token": TOKEN})
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"]
    assert TOKEN not in cookie
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {*cookie.split("; ")}
    assert closed.get("/api/jobs").status_code == 200  # by the cookie
    assert closed.post("/logout").status_code == 204
    assert closed.get("/api/jobs").status_code == 401


def test_a_browser_that_opens_a_page_is_sent_to_the_login(closed: TestClient) -> None:
    headers = {"Sec-Fetch-Mode": "navigate"}
    answer = closed.get("/api/jobs", headers=headers, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_monai_label_clients_log_in_by_a_password(closed: TestClient) -> None:
    assert closed.get("/auth/").json()["enabled"] is True
    form = {"username": "x", "grant_type": "password"}
    assert closed.post("/auth/token", data={**form, "password": "no"}).status_code == 401
    given = closed.post("/auth/token", data={**form, "password": TOKEN}).json()
    assert given["token_type"] == "bearer"
    assert TOKEN not in given["access_token"]
    for shown, status in ((given["access_token"], 200), (given["access_token"][:-1] + "g", 401)):
        headers = {"Authorization": f"Bearer {shown}"}
        assert closed.get("/auth/token/valid", headers=headers).status_code == status


def test_without_a_token_nobody_logs_in(open_: TestClient) -> None:
    assert open_.get("/auth/").json()["enabled"] is False
    assert open_.post("/auth/token", data={"password": "x"}).json()["access_token"] is None
    assert open_.get("/auth/token/valid").status_code == 200
    assert "set-cookie" not in open_.post("/login", json={"token": "x"}).headers


def _by_login(client: TestClient, token: str) -> int:
    return client.post("/login", json={"token": token}).status_code


def _by_password(client: TestClient, token: str) -> int:
    return client.post("/auth/token", data={"password": token}).status_code


def _by_bearer(client: TestClient, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return client.get("/api/jobs", headers=headers).status_code


@pytest.mark.parametrize("by", [_by_login, _by_password, _by_bearer])
def test_who_guesses_has_to_wait(closed: TestClient, by: Callable[[TestClient, str], int]) -> None:
    ticket = closed.post("/auth/token", data={"password": TOKEN}).json()["access_token"]
    assert [by(closed, f"guess {k}") for k in range(12)] == [401] * 10 + [429] * 2
    assert by(closed, TOKEN) == 429  # the right one is no use either
    assert _by_bearer(closed, ticket) == 200  # and who is in stays in


def test_what_holds_no_data_is_open(closed: TestClient) -> None:
    for path, status in (
        ("/healthz", 404), ("/", 404), ("/page/a.js", 404), ("/metrics", 401), ("/docs", 401),
        ("/openapi.json", 401), ("/pagex", 401), ("/auth/token/valid", 401),
        ("/page/%2e%2e/api/jobs", 400),
    ):  # fmt: skip
        assert (path, closed.get(path).status_code) == (path, status)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"token": "a" * 15}, "short"), ({"host": "0.0.0.0"}, "--token"),
        ({"origins": ["*"]}, "origin"), ({"origins": ["viewer.example"]}, "origin"),
        ({"origins": ["https://viewer.example/"]}, "origin"),
    ],
)  # fmt: skip
def test_settings_that_would_let_in_anybody_are_refused(
    tmp_path: Any, fields: dict[str, Any], word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        Settings(tmp_path, **fields)
    assert Settings(tmp_path, host="0.0.0.0", token="a" * 16, origins=["https://a.example:1"])
