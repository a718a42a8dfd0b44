# SPDX-License-Identifier: Apache-2.0
"""The page of all routes: complete, with examples, and without anything from elsewhere."""

import re

from fastapi.testclient import TestClient

from medvol.server.app import create_app
from medvol.server.service import Service


def test_the_page_shows_every_route_and_asks_nobody_else(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    for path, item in client.get("/openapi.json").json()["paths"].items():
        for method in item:
            assert f"<h3>{method.upper()} {path}</h3>" in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text
    links = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert links == ["docs/style.css", "openapi.json"]
    assert client.get(f"/{links[0]}").headers["content-type"].startswith("text/css")
    assert "&quot;code&quot;: &quot;E_TRUNCATED&quot;" in page.text
    assert "curl --json" in page.text
    assert "tiny_ct" in page.text
    assert "http://127.0.0.1:8000/api/images" in page.text


def test_what_the_rest_takes_is_known_without_a_worker(service: Service) -> None:
    from dataclasses import replace

    folder = service.settings.folder.parent / "idle"
    idle = Service(replace(service.settings, folder=folder), at_work=False)
    try:
        assert idle.queue.lanes == []
        assert create_app(idle).openapi() == create_app(service).openapi()
    finally:
        idle.close()
