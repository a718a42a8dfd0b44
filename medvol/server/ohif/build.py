# SPDX-License-Identifier: Apache-2.0
"""A static build of OHIF as npm has it, made fit for a place below `/ohif/` of this server.

The build is made for a server's root, and its start page holds scripts of a line, which the content
security policy forbids. So addresses get `/ohif` before them, in that page and where scripts and
styles say from where more is loaded, and the scripts of the page become files of their own. All
else is sent as it is.
"""

import json
import mimetypes
import re
from pathlib import Path

from ...errors import InputError

PACKAGE, VERSION = "@ohif/app", "3.13.2"
PLACE = "/ohif"
CONFIG, START = "app-config.js", "start-{}.js"
INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
ADDRESS = re.compile(r'((?:href|src)="|window\.PUBLIC_URL=")/(?!ohif/)')
LOADS = re.compile(
    rb"""((?:\.p ?= ?|browserImportFunction\()["']|(?<![\w$])url\(["']?)/(?!ohif/|/)"""
)
HASHED = re.compile(r"\.[0-9a-f]{16,}\.|^[0-9a-f]{16,}\.")  # another name at every change
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}
NOT_SENT = (".map",)
LOADING = (".js", ".css")
GET = (
    "Run `make ohif` in a clone of medvol; or `npm pack {}@{}`, unpack it, and give its folder "
    "package/dist behind --ohif."
)


class Build:
    """The files of a build: `files` as they are, of which `changed` holds what is sent instead.

    Args:
        folder: with its index.html.

    Raises:
        InputError: E_PATH, there is no build.
    """

    def __init__(self, folder: Path) -> None:
        index = folder / "index.html"
        if not index.is_file():
            reason = "there is no OHIF here (no index.html)."
            raise InputError("E_PATH", folder, reason, GET.format(PACKAGE, VERSION))
        self.folder = folder
        paths = (path for path in folder.rglob("*") if path.suffix not in NOT_SENT)
        # a path of a request is only looked up here, so none leads out of the folder
        self.files = {x.relative_to(folder).as_posix(): x for x in paths if x.is_file()}
        self.index, scripts = placed(index.read_text(encoding="utf-8"))
        self.changed = {name: text.encode() for name, text in scripts.items()}
        for name, path in self.files.items():
            if path.suffix in LOADING and LOADS.search(content := path.read_bytes()):
                self.changed[name] = LOADS.sub(rb"\1%b/" % PLACE.encode(), content)


def placed(page: str) -> tuple[str, dict[str, str]]:
    """A start page for `/ohif/`, and the scripts that were taken out of it, by their names.

    Args:
        page: as the build has it.

    Example:
        >>> placed('<script>window.PUBLIC_URL="/"</script><link href="/app.css">')[0]
        '<script src="/ohif/start-0.js"></script><link href="/ohif/app.css">'
    """
    scripts: dict[str, str] = {}

    def taken(found: re.Match[str]) -> str:
        name = START.format(len(scripts))
        scripts[name] = found[1]
        return f'<script src="{PLACE}/{name}"></script>'

    return INLINE.sub(taken, ADDRESS.sub(rf"\1{PLACE}/", page)), scripts


def media_type(name: str) -> str:
    """What a file of a build is, for a browser.

    Args:
        name: of the file.
    """
    suffix = Path(name).suffix.lower()
    return TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def config_js(root: str, *, takes: bool) -> str:
    """OHIF's settings: one archive, that of this server.

    Args:
        root: path of DICOMweb on this server, such as "/dicom-web".
        takes: the archive takes what is sent to it through this server.
    """
    archive = {
        "friendlyName": "the archive of medvol", "name": "medvol",
        "qidoRoot": root, "wadoRoot": root, "wadoUriRoot": root,
        "qidoSupportsIncludeField": False, "supportsFuzzyMatching": False,
        "supportsWildcard": True, "supportsReject": False, "enableStudyLazyLoad": True,
        "imageRendering": "wadors", "thumbnailRendering": "wadors",
        "omitQuotationForMultipartRequest": True, "singlepart": "bulkdata,video",
        "bulkDataURI": {"enabled": True}, "dicomUploadEnabled": takes,
    }  # fmt: skip
    source = {
        "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb", "sourceName": "medvol",
        "configuration": archive,
    }  # fmt: skip
    settings = {
        "routerBasename": PLACE, "extensions": [], "modes": [], "customizationService": {},
        "showStudyList": True, "maxNumberOfWebWorkers": 3, "showLoadingIndicator": True,
        "showWarningMessageForCrossOrigin": True, "showCPUFallbackMessage": True,
        "strictZSpacingForVolumeViewport": True, "groupEnabledModesFirst": True,
        "maxNumRequests": {"interaction": 20, "thumbnail": 5, "prefetch": 10},
        "investigationalUseDialog": {"option": "always"},
        "defaultDataSourceName": "medvol", "dataSources": [source],
    }  # fmt: skip
    return f"window.config = {json.dumps(settings, indent=1)};\n"
