"""What of a static build is changed for its place on this server, and what its settings say."""

import json
from pathlib import Path

import pytest
from refusals import refused_by
from viewer_build import INDEX, make_build

from medvol.server.ohif.build import HASHED, Build, config_js, media_type, placed


def test_the_start_page_has_no_script_of_a_line_and_only_addresses_below_its_place() -> None:
    page, scripts = placed(INDEX)
    assert "<script>" not in page
    assert [page.count(f'="/ohif/{name}"') for name in (
        "start-0.js", "start-1.js", "app-config.js", "manifest.json",
        "app.bundle.0f6159c501addfe9.js")] == [1] * 5  # fmt: skip
    assert '="/a' not in page
    assert scripts == {
        "start-0.js": 'console.time("a"),window.PUBLIC_URL="/ohif/"',
        "start-1.js": 'function f(n){return import(n)}window.PUBLIC_URL="/ohif/"',
    }


def test_a_page_that_is_made_for_this_place_stays() -> None:
    page = '<link href="/ohif/app.css"><script src="/ohif/app.js"></script>'
    assert placed(page) == (page, {})


def test_scripts_and_styles_load_from_the_place(tmp_path: Path) -> None:
    build = Build(make_build(tmp_path / "dist"))
    assert build.changed["app.bundle.0f6159c501addfe9.js"].decode() == (
        "__webpack_require__.p = \"/ohif/\";f(window.browserImportFunction('/ohif/dicom/v.js'));"
        'n.p="";const there = "/studies", far = "//host";'
    )
    assert build.changed["small.js"] == b'r.p="/ohif/",r(r.s=22)'
    assert build.changed["app.bundle.css"].decode() == (
        "@font-face{src:url(/ohif/a34f9d1faa5f3315.woff2)}a{background:url(data:x)}"
    )
    assert "assets/icon.svg" in build.files
    assert "app.bundle.js.map" not in build.files


def test_no_build_is_refused_with_how_to_get_one(tmp_path: Path) -> None:
    error = refused_by(lambda: Build(tmp_path), "E_PATH")
    assert "make ohif" in error.remedy
    assert "@ohif/app@3.13.2" in error.remedy


def test_the_version_is_that_of_the_lock() -> None:
    from medvol.server.ohif import build

    lock = json.loads((Path(build.__file__).parent / "package-lock.json").read_text("utf-8"))
    entry = lock["packages"][f"node_modules/{build.PACKAGE}"]
    assert entry["version"] == build.VERSION
    assert entry["integrity"].startswith("sha512-")
    assert [*lock["packages"]] == ["", f"node_modules/{build.PACKAGE}"]  # nothing else is fetched


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.js", "text/javascript"), ("a.wasm", "application/wasm"), ("a.css", "text/css"),
     ("a.unheard-of", "application/octet-stream")],
)  # fmt: skip
def test_what_a_browser_is_told_of_a_file(name: str, kind: str) -> None:
    assert media_type(name) == kind


@pytest.mark.parametrize(
    ("name", "hashed"),
    [("app.bundle.0f6159c501addfe9.js", True), ("0ddf166f7a343eda.wasm", True),
     ("app.bundle.css", False), ("3833.css", False), ("start-0.js", False)],
)  # fmt: skip
def test_names_that_change_with_their_content(name: str, hashed: bool) -> None:
    assert bool(HASHED.search(name)) == hashed


@pytest.mark.parametrize("takes", [True, False])
def test_settings_name_the_archive_of_this_server_alone(takes: bool) -> None:
    text = config_js("/dicom-web", takes=takes)
    config = json.loads(text.removeprefix("window.config = ").rstrip(";\n"))
    (source,) = config["dataSources"]
    roots = {source["configuration"][key] for key in ("qidoRoot", "wadoRoot", "wadoUriRoot")}
    assert roots == {"/dicom-web"}
    assert source["configuration"]["dicomUploadEnabled"] == takes
    assert config["defaultDataSourceName"] == source["sourceName"]
    assert "http" not in text
