# SPDX-License-Identifier: Apache-2.0
"""`medvol serve`: bundles behind a page, 3D Slicer, OHIF and REST, on one port."""

import argparse
import errno
import json
import logging
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, printable, require
from ..failures import path_error, write_error
from ..text import NOTICE
from .options import add_device, add_engine, add_time_limit, add_trust, engine_of
from .trust import LATER, opened

if TYPE_CHECKING:
    from ..server.settings import Settings

UPLOAD_GB = 4.0
OTHERS = 0o077  # rights of others than the owner of a file
BACKLOG = 512  # connections that may wait to be taken
LOG_FORM = "%(asctime)s %(message)s"
SERVER = "medvol.server"  # begins the names of its logs


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
        help="name, folder or .zip of a bundle (may be given several times; default: all that "
        "came with medvol)",
    )  # fmt: skip
    add_trust(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="default: %(default)s; 0: any")
    images = parser.add_mutually_exclusive_group()
    images.add_argument("--studies", type=Path, metavar="FOLDER", help="images to choose from")
    images.add_argument("--archive", default="", metavar="URL", help="DICOMweb archive of studies")
    parser.add_argument(
        "--ohif", nargs="?", const="", metavar="FOLDER",
        help="serve the OHIF viewer too, from the folder of its build (default: what `make ohif` "
        "fetched); without --archive an archive of its own is started, which gets the DICOM files "
        "of --studies and ends with the server",
    )  # fmt: skip
    _add_access(parser)
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
    add_time_limit(parser, "work on an image")
    parser.add_argument(
        "--print-openapi", action="store_true", help="print what the REST takes and gives, and end"
    )
    add_device(parser, precision=False)
    add_engine(parser)
    parser.set_defaults(run=run, **{LATER: True})


def _add_access(parser: argparse.ArgumentParser) -> None:
    """Add what says who may ask."""
    parser.add_argument(
        "--token", type=Path, metavar="FILE",
        help="with the token that a client has to show; needed for another --host",
    )  # fmt: skip
    parser.add_argument("--new-token", action="store_true", help="write a new token into FILE")
    parser.add_argument(
        "--name", action="append", default=[], dest="names",
        help="under which the server is reached too, such as that of a proxy (may be given several "
        "times)",
    )  # fmt: skip
    parser.add_argument(
        "--origin", action="append", default=[], dest="origins", metavar="URL",
        help="whose pages may ask too, such as a viewer elsewhere (may be given several times)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C.

    Raises:
        InputError: a bundle that cannot be served, a token that cannot be used, an address that
            another program listens at, or a folder that another server uses.
        ValueError: an option that makes no sense.
    """
    require("fastapi", feature="medvol serve", install="medvol[server]")
    with ExitStack() as ends:
        bundles = [opened(name, ends, trust=args.trust) for name in args.bundles]
        if args.print_openapi:
            _print_openapi(bundles)
            return 0
        settings = _settings(args, bundles)
        listening = ends.enter_context(bound(settings.host, settings.port))
        try:
            with _with_viewer(args, settings) as shown:
                _serve(shown, listening)
        except KeyboardInterrupt:  # also SIGTERM: the usual way to end it
            print("medvol: ended; jobs that wait are done when it starts again", file=sys.stderr)
    return 0


def _with_viewer(
    args: argparse.Namespace, settings: "Settings"
) -> "AbstractContextManager[Settings]":
    """The settings; with `--ohif` of a server that shows OHIF, as long as the block lasts."""
    if args.ohif is None:
        return nullcontext(settings)
    from ..server.ohif.tryout import viewer

    kept = args.folder / "archive" if args.folder else None
    return viewer(settings, Path(args.ohif) if args.ohif else None, kept)


def _serve(settings: "Settings", listening: socket.socket) -> None:
    """Serve at a socket until a signal ends it.

    Raises:
        KeyboardInterrupt: it was ended.
    """
    import uvicorn

    from ..server.app import create_app
    from ..server.ending import Server
    from ..server.guard.listening import options
    from ..server.service import Service

    with _logged(), closing(Service(settings)) as service:
        app = create_app(service)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        port = listening.getsockname()[1]
        names = ", ".join(service.bundles)
        print(printable(f"medvol: http://{host}:{port} serves {names}"), file=sys.stderr)
        if settings.ohif is not None:
            print(f"OHIF: http://{host}:{port}/ohif/", file=sys.stderr)
        print(f"medvol: {NOTICE}", file=sys.stderr, flush=True)
        Server(uvicorn.Config(app, **options()), service).run(sockets=[listening])


@contextmanager
def _logged() -> Iterator[None]:
    """A line on stderr for each job, and for what fails."""
    log, handler = logging.getLogger(SERVER), logging.StreamHandler()
    handler.setFormatter(logging.Formatter(LOG_FORM))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: address or name of this machine.
        port: 0 to 65535; 0 takes a free one.

    Raises:
        InputError: E_OUTPUT, another program listens there, the user may not, or this machine has
            no such address.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        words = os.strerror(error.errno) if error.errno else str(error)
        reason = f"the system does not let it listen there ({words})."
        remedy = "Give another --port, or end the program that listens there."
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            reason, remedy = "this machine has no such address.", "Give another --host."
        raise InputError("E_OUTPUT", f"{host}:{port}", reason, remedy) from error


def _settings(args: argparse.Namespace, bundles: Sequence[str]) -> "Settings":
    from ..bundle.places import home_folder
    from ..engine.limits import usual_limits
    from ..server.settings import Settings

    return Settings(
        folder=args.folder or home_folder() / "server", bundles=bundles, host=args.host,
        port=args.port, device=args.device, studies=args.studies, archive=args.archive,
        token=token_of(args.token, new=args.new_token), keep_h=args.keep,
        largest_bytes=int(args.largest * 1e9), origins=args.origins, names=args.names,
        time_limit_s=usual_limits(args.time_limit).seconds or 0, engine=engine_of(args),
    )  # fmt: skip


def token_of(path: Path | None, *, new: bool) -> str:
    """The token in a file that only its owner can read; empty without a file.

    Args:
        path: of the file.
        new: it is made, with a token that nobody guesses.

    Raises:
        ValueError: `new` without a file.
        InputError: E_OUTPUT, a new file is there already; E_NOSPACE, it cannot be written; E_PATH,
            it cannot be read, or others can read it; E_EMPTY, nothing is in it.
    """
    if path is None:
        if new:
            raise ValueError("--new-token needs --token FILE, into which it is written")
        return ""
    if new:
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
        except FileExistsError:
            remedy = "Leave out --new-token, or give another file."
            raise InputError("E_OUTPUT", path, "this file is there already.", remedy) from None
        except OSError as error:
            raise write_error(path, error) from error
    try:
        if os.name == "posix" and path.stat().st_mode & OTHERS:
            remedy = f"Run `chmod 600 {path}`, or make another with --new-token."
            raise InputError("E_PATH", path, "others than its owner can read the token.", remedy)
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise path_error(path, error) from error
    if not token:
        remedy = "Delete it, and make another with --new-token."
        raise InputError("E_EMPTY", path, "it holds no token.", remedy)
    return token


def _print_openapi(bundles: Sequence[str]) -> None:
    """Print what the REST takes and gives; nothing is started for it."""
    from ..server.app import create_app
    from ..server.service import Service
    from ..server.settings import Settings

    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Service(Settings(Path(folder), bundles), at_work=False)) as service,
    ):
        print(json.dumps(create_app(service).openapi(), indent=2))
