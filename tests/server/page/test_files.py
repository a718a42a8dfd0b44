# SPDX-License-Identifier: Apache-2.0
"""The page's files: all are there, none asks elsewhere, none holds code or style in markup."""

import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from medvol.server.page.files import INDEX, STATIC, page_files
from medvol.text import NOTICE

OWN = sorted(path for path in STATIC.rglob("*") if path.is_file())
NAMES = [path.relative_to(STATIC).as_posix() for path in OWN]
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|cssText"
)
SVG = "http://www.w3.org/2000/svg"


def test_the_page_is_at_the_root_and_kept_until_it_changes(client: TestClient) -> None:
    first = client.get("/")
    assert first.status_code == 200
    assert first.headers["content-type"] == "text/html; charset=utf-8"
    assert NOTICE in first.text
    known = {"If-None-Match": first.headers["etag"]}
    again = client.get("/", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/page/js/main.js", headers=known).status_code == 200


@pytest.mark.parametrize("name", NAMES)
def test_every_file_comes_whole_with_its_type(client: TestClient, name: str) -> None:
    types = {"js": "text/javascript", "css": "text/css", "json": "application/json",
             "svg": "image/svg+xml", "html": "text/html"}  # fmt: skip
    answer = client.get(f"/page/{name}")
    assert answer.content == (STATIC / name).read_bytes()
    assert answer.headers["content-type"].split(";")[0] == types[name.rpartition(".")[2]]
    plain = client.get(f"/page/{name}", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content


@pytest.mark.parametrize(
    "name", ["../routes.py", "..%2froutes.py", "%2e%2e/routes.py", "js/../../files.py", "js",
             "/etc/passwd", "vendor/../../package.json", ""],
)  # fmt: skip
def test_no_other_file_can_be_asked_for(client: TestClient, name: str) -> None:
    answer = client.get(f"/page/{name}")
    assert answer.status_code in (400, 404)
    assert len(answer.content) < 300


def test_a_page_without_niivue_has_all_but_the_viewer(tmp_path: Path) -> None:
    files = page_files(vendor=tmp_path / "absent")
    assert set(files) == set(NAMES)
    assert gzip.decompress(files[INDEX].packed) == files[INDEX].content


class Parsed(HTMLParser):
    """Collects what a policy of contents forbids, and what is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.forbidden: list[str] = []
        self.asked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        wrong = [name for name in named if name == "style" or name.startswith("on")]
        if wrong or tag == "style" or (tag == "script" and not named.get("src")):
            self.forbidden.append(f"{tag} {wrong}")
        self.asked += [value for name, value in attrs if name in ("src", "href") and value]


def test_no_markup_holds_code_or_style() -> None:
    parsed = Parsed()
    parsed.feed((STATIC / INDEX).read_text(encoding="utf-8"))
    assert parsed.forbidden == []
    assert {x for x in parsed.asked if x.startswith("/page/")} >= {"/page/js/main.js"}
    for path in parsed.asked:
        assert path.startswith("#") or path.removeprefix("/page/") in NAMES
    for path in STATIC.rglob("*.js"):
        assert not MARKUP.search(path.read_text(encoding="utf-8")), path.name


@pytest.mark.parametrize("path", OWN, ids=NAMES)
def test_nothing_is_asked_for_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace(SVG, "")
    assert not re.search(r"https?:|//[a-z0-9.-]+\.[a-z]{2,}/|@import|url\(", text)


def test_what_a_module_imports_is_there() -> None:
    for path in STATIC.rglob("*.js"):
        text = path.read_text(encoding="utf-8")
        for imported in re.findall(r'from "(.+?)"', text):
            assert (path.parent / imported).is_file(), f"{path.name}: {imported}"
        names = re.findall(r"^import \{(.+?)\} from \"(.+?)\"", text, flags=re.M)
        for listed, source in names:
            there = (path.parent / source).read_text(encoding="utf-8")
            for name in listed.split(","):
                word = re.escape(name.strip())
                shape = rf"export (async )?(function|const|class) {word}\b"
                assert re.search(shape, there), f"{path.name}: {name}"
                assert len(re.findall(rf"\b{word}\b", text)) > 1, f"{path.name} uses no {name}"


LOCKS = [STATIC.parent / "package-lock.json", Path(__file__).parent / "package-lock.json"]


@pytest.mark.parametrize("lock", LOCKS, ids=["page", "tests"])
def test_what_others_wrote_is_known_by_its_hash(lock: Path) -> None:
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    wanted = json.loads((lock.parent / "package.json").read_text(encoding="utf-8"))
    asked = {**wanted.get("dependencies", {}), **wanted.get("devDependencies", {})}
    for name, version in asked.items():
        assert packages[f"node_modules/{name}"]["version"] == version  # no range
    for name, told in packages.items():
        if name:
            assert told["integrity"].startswith("sha512-"), name
            assert "resolved" not in told, name  # whichever registry the machine asks
