# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle`: list, explain, make, check and build bundles."""

import argparse
import json
from pathlib import Path

from ..errors import printable, printable_lines
from .options import add_time_limit


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `bundle` and its own commands to the command line."""
    parser = commands.add_parser(
        "bundle",
        help="list, explain, make, check and build bundles",
        description="Look at bundles and make new ones. A bundle is named by its folder, or by its "
        "name when it came with medvol or lies in the folder MEDVOL_BUNDLES.",
    )
    own = parser.add_subparsers(dest="bundle_command", required=True, metavar="COMMAND")
    every = own.add_parser(
        "list",
        help="all bundles: images, labels, figures",
        description="Print a line for each bundle with a name: version, images, labels or classes, "
        "and figures that were measured on images that it was not trained on.",
    )
    every.add_argument("--json", action="store_true", help="print one object with all there is")
    every.set_defaults(run=list_bundles)

    one = own.add_parser(
        "explain",
        help="say what a bundle is",
        description="Print a bundle's task, labels, chain with its steps, network, inferer, "
        "training, figures and licence.",
    )
    one.add_argument("bundle", help="name or folder")
    one.set_defaults(run=explain_bundle)

    new = own.add_parser(
        "new",
        help="make a bundle with other labels from another",
        description="Make a bundle with the network, chain and training of another, and other "
        "labels or classes. It has no weights until it is trained.",
    )
    new.add_argument("name", help="of the new bundle, or its folder")
    new.add_argument(
        "--from", dest="like", required=True, metavar="BUNDLE", help="that it is made from"
    )
    new.add_argument(
        "--labels", type=Path, metavar="FILE",
        help='.json: {"label_table": [{"value": 1, "name": "lung"}]} or {"classes": ["a", "b"]}; '
        "default: those of the other bundle",
    )  # fmt: skip
    new.set_defaults(run=make_bundle)

    check = own.add_parser(
        "check",
        help="look for what is wrong with a bundle",
        description="Check a bundle's layout, metadata, ids, components, labels, licences, weights "
        "and network, and run one phantom through it. A bundle's configs are code that is run: "
        "in a process of its own; check bundles of strangers with --no-run. Exit status 1 when "
        "something is wrong.",
    )
    check.add_argument("bundle", help="name or folder")
    check.add_argument("--json", action="store_true", help="print a list of objects instead")
    check.add_argument(
        "--no-run", dest="run_it", action="store_false", help="read the files; run nothing of it"
    )
    add_time_limit(check, "the bundle's code")
    check.set_defaults(run=check_one)

    record = own.add_parser(
        "record",
        help="write down what a bundle's weights were trained for",
        description="Write into a bundle's metadata that its weights were trained for its labels, "
        "its chain and its task: `medvol train --install` does so itself. With the datalist of the "
        "training a classifier of radiographs also gets a small statistic of their look, by which "
        "turned pictures, other views and photographs are noticed.",
    )
    record.add_argument("bundle", help="name or folder")
    record.add_argument("--data", type=Path, metavar="DATALIST", help="that it was trained on")
    record.set_defaults(run=record_one)

    build = own.add_parser(
        "build",
        help="build a bundle's configs from its source",
        description="Write configs/*.json as source.json and the parts that it names give them. "
        "What was changed in configs/ by hand is lost; change the source instead.",
    )
    build.add_argument(
        "bundles", nargs="*", metavar="BUNDLE", help="name or folder; default: all with a source"
    )
    build.add_argument(
        "--check", action="store_true", help="write nothing; exit status 1 when a config differs"
    )
    build.set_defaults(run=build_configs)


def list_bundles(args: argparse.Namespace) -> int:
    """Print what each bundle is, and where one's own lie."""
    from ..bundle.find import user_folder
    from ..bundle.listing import HEADS, listed
    from ..text import aligned

    bundles = listed()
    if args.json:
        rows = [bundle.to_json() for bundle in bundles]
        print(json.dumps({"own_folder": str(user_folder()), "bundles": rows}, indent=2))
    else:
        print(printable_lines(aligned([HEADS, *(bundle.line() for bundle in bundles)])))
        print(f"\nYour own bundles lie in {user_folder()}")
    return 0


def explain_bundle(args: argparse.Namespace) -> int:
    """Print what a bundle is."""
    from ..bundle.explain import explain
    from ..bundle.find import find_bundle

    print(printable_lines(explain(find_bundle(args.bundle))))
    return 0


def make_bundle(args: argparse.Namespace) -> int:
    """Make a bundle, and say what comes next."""
    from ..bundle.find import shipped_bundles
    from ..bundle.new import new_bundle

    folder = new_bundle(args.name, like=args.like, labels=args.labels)
    print(f"{folder} made; its settings are in source.json")
    if args.name in shipped_bundles():
        print(f"{args.name} now names this bundle, no longer the shipped one")
    print(f"Train it: medvol train {args.name} --data DATALIST --install")
    return 0


def check_one(args: argparse.Namespace) -> int:
    """Print what is found in a bundle, a line each, or that nothing is."""
    from ..bundle.find import find_bundle
    from ..sharing.check import check_apart, check_bundle

    folder = Path(args.bundle)
    if not folder.is_dir():  # a folder without metadata is checked too, so it is not looked for
        folder = find_bundle(args.bundle)
    if args.run_it:
        found = check_apart(folder, seconds=args.time_limit)
    else:
        found = check_bundle(folder, run=False)
    if args.json:
        print(json.dumps([finding._asdict() for finding in found], indent=2))
    else:
        said = [str(finding) for finding in found] or [f"{folder}: nothing is wrong"]
        print("\n".join(map(printable, said)))
    return int(any(finding.level == "error" for finding in found))


def record_one(args: argparse.Namespace) -> int:
    """Record a bundle's weights and pictures, and say what was done."""
    from ..bundle.find import find_bundle
    from ..data.datalist import Datalist
    from ..search.record import record_bundle

    data = Datalist.read(args.data) if args.data else None
    print("\n".join(record_bundle(find_bundle(args.bundle), data=data)))
    return 0


def build_configs(args: argparse.Namespace) -> int:
    """Build the bundles named, or all that have a source; print each file that differs."""
    from ..bundle.build import SOURCE, build_bundle, stale_files
    from ..bundle.find import all_bundles, find_bundle

    folders = [find_bundle(name) for name in args.bundles] or [
        folder for folder in all_bundles().values() if (folder / SOURCE).is_file()
    ]
    differ: list[Path] = []
    for folder in folders:
        differ += stale_files(folder) if args.check else build_bundle(folder)
    for path in differ:
        print(f"{path} {'differs from its source' if args.check else 'written'}")
    return int(args.check and bool(differ))
