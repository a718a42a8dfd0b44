# SPDX-License-Identifier: Apache-2.0
"""`medvol serve`: bundles behind a page, 3D Slicer, OHIF and REST, on one port."""

import argparse
import json
import sys
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from ..errors import require
from .options import add_device

UPLOAD_GB = 4.0


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `serve` to the command line."""
    parser = commands.add_parser(
        "serve",
        help="serve bundles to a page, 3D Slicer and OHIF",
        description="Serve bundles over HTTP: a page to drop images on, and what 3D Slicer and "
        "OHIF speak.",
    )
    parser.add_argument(
        "--bundle", action="append", default=[], dest="bundles", metavar="NAME",
        help="name or folder of a bundle (may be given several times; default: all that came "
        "with medvol)",
    )  # fmt: skip
    parser.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="default: %(default)s")
    images = parser.add_mutually_exclusive_group()
    images.add_argument("--studies", type=Path, metavar="FOLDER", help="images to choose from")
    images.add_argument("--archive", default="", metavar="URL", help="DICOMweb archive of studies")
    parser.add_argument(
        "--ohif", nargs="?", const="", metavar="FOLDER",
        help="serve the OHIF viewer too, from the folder of its build (default: what `make ohif` "
        "fetched); without --archive an archive of its own is started, which gets the DICOM files "
        "of --studies and ends with the server",
    )  # fmt: skip
    parser.add_argument(
        "--token", type=Path, metavar="FILE", help="with the token that a client has to show"
    )
    parser.add_argument(
        "--folder", type=Path, help="for images, jobs and results (default: in the data folder)"
    )
    parser.add_argument(
        "--keep", type=float, default=24.0, metavar="HOURS",
        help="after which uploads and results are deleted (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--largest", type=float, default=UPLOAD_GB, metavar="GB",
        help="upload that is taken (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--print-openapi", action="store_true", help="print what the REST takes and gives, and end"
    )
    add_device(parser, precision=False)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C.

    Raises:
        InputError: a bundle that cannot be served.
        ValueError: an option that makes no sense.
    """
    require("fastapi", feature="medvol serve", install="medvol[server]")
    if args.print_openapi:
        return _print_openapi(args)
    import uvicorn

    from ..server.app import create_app
    from ..server.guard.listening import options
    from ..server.service import Service

    with _with_viewer(args, _settings(args, args.folder or _default_folder())) as settings:
        service = Service(settings)
        address = f"http://{settings.host}:{settings.port}"
        print(f"medvol: {address}", file=sys.stderr, flush=True)
        if settings.ohif is not None:
            print(f"OHIF: {address}/ohif/", file=sys.stderr, flush=True)
        uvicorn.run(create_app(service), host=settings.host, port=settings.port, **options())
    return 0


def _with_viewer(args: argparse.Namespace, settings: Any) -> AbstractContextManager[Any]:
    """The settings; with `--ohif` of a server that shows OHIF, as long as the block lasts."""
    if args.ohif is None:
        return nullcontext(settings)
    from ..server.ohif.tryout import viewer

    kept = args.folder / "archive" if args.folder else None
    return viewer(settings, Path(args.ohif) if args.ohif else None, kept)


def _settings(args: argparse.Namespace, folder: Path) -> Any:
    from ..server.settings import Settings

    token = args.token.read_text(encoding="utf-8").strip() if args.token else ""
    return Settings(
        folder, args.bundles, args.host, args.port, args.device, args.studies, args.archive, token,
        args.keep, int(args.largest * 1e9),
    )  # fmt: skip


def _default_folder() -> Path:
    from ..bundle.places import home_folder

    return home_folder() / "server"


def _print_openapi(args: argparse.Namespace) -> int:
    from ..server.app import create_app
    from ..server.service import Service

    with tempfile.TemporaryDirectory() as folder:
        service = Service(_settings(args, Path(folder)))
        try:
            print(json.dumps(create_app(service).openapi(), indent=2))
        finally:
            service.close()
    return 0
