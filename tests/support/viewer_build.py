# SPDX-License-Identifier: Apache-2.0
"""A small static build, with what the real one has that a place below `/ohif/` must change."""

from pathlib import Path

INDEX = (
    '<!doctype html><html><head><script>console.time("a"),window.PUBLIC_URL="/"</script>'
    '<link rel="manifest" href="/manifest.json">'
    '<script rel="preload" src="/app-config.js"></script>'
    '<script>function f(n){return import(n)}window.PUBLIC_URL="/"</script>'
    '<script defer src="/app.bundle.0f6159c501addfe9.js"></script></head><body></body></html>'
)
APP = (
    '__webpack_require__.p = "/";f(window.browserImportFunction(\'/dicom/v.js\'));n.p="";'
    'const there = "/studies", far = "//host";'
)
MINIFIED = 'r.p="/",r(r.s=22)'
STYLE = "@font-face{src:url(/a34f9d1faa5f3315.woff2)}a{background:url(data:x)}"


def make_build(folder: Path) -> Path:
    """Write it."""
    (folder / "assets").mkdir(parents=True)
    for name, text in {
        "index.html": INDEX, "app-config.js": "window.config = {stock: 1}",
        "app.bundle.0f6159c501addfe9.js": APP, "small.js": MINIFIED, "app.bundle.css": STYLE,
        "app.bundle.js.map": "{}", "assets/icon.svg": "<svg/>",
    }.items():  # fmt: skip
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "0ddf166f7a343eda.wasm").write_bytes(b"\0asm")
    return folder
