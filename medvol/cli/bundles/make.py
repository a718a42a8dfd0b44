# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle new`, `record` and `build`: what makes or writes bundles of one's own."""

import argparse
from pathlib import Path

from ..options import add_trust


def add_parser(own: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `new`, `record` and `build` to the commands of `medvol bundle`."""
    new = own.add_parser(
        "new",
        help="make a bundle with other labels from another",
        description="Make a bundle with the network, chain and training of another, and other "
        "labels or classes. It has no weights until it is trained, unless those of several "
        "networks are given, whose probabilities it then averages.",
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
    new.add_argument(
        "--weights", dest="several", nargs="+", type=Path, metavar="FILE",
        help="of trained networks of the other bundle, two or more, such as of several seeds: the "
        "new bundle gives their mean, in as many times the time",
    )  # fmt: skip
    add_trust(new)
    new.set_defaults(run=make_bundle)

    record = own.add_parser(
        "record",
        help="write down what a bundle's weights were trained for",
        description="Write into a bundle's metadata that its weights were trained for its labels, "
        "its chain and its task: `medvol train --install` does so itself. With the datalist of the "
        "training a classifier of radiographs also gets a small statistic of their look, by which "
        "turned pictures, other views and photographs are noticed.",
    )
    record.add_argument("bundle", help="name or folder")
    add_trust(record)
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


def make_bundle(args: argparse.Namespace) -> int:
    """Make a bundle, and say what comes next.

    Raises:
        ValueError: weights and other labels.
    """
    from ...bundle.find import shipped_bundles
    from ...bundle.new import new_bundle

    if args.several and args.labels:
        raise ValueError("weights are good for the labels of their bundle; leave out one of both")
    if args.several:
        from ...search.averaged_bundle import averaged_bundle

        folder = averaged_bundle(args.name, like=args.like, weights=args.several)
    else:
        folder = new_bundle(args.name, like=args.like, labels=args.labels)
    print(f"{folder} made; its settings are in source.json")
    if args.name in shipped_bundles():
        print(f"{args.name} now names this bundle, no longer the shipped one")
    if not args.several:
        print(f"Train it: medvol train {args.name} --data DATALIST --install")
    return 0


def record_one(args: argparse.Namespace) -> int:
    """Record a bundle's weights and pictures, and say what was done."""
    from ...bundle.find import find_bundle
    from ...data.datalist import Datalist
    from ...search.record import record_bundle

    data = Datalist.read(args.data) if args.data else None
    print("\n".join(record_bundle(find_bundle(args.bundle), data=data)))
    return 0


def build_configs(args: argparse.Namespace) -> int:
    """Build the bundles named, or all that have a source; print each file that differs."""
    from ...bundle.build import SOURCE, build_bundle, stale_files
    from ...bundle.find import all_bundles, find_bundle

    folders = [find_bundle(name) for name in args.bundles] or [
        folder for folder in all_bundles().values() if (folder / SOURCE).is_file()
    ]
    differ: list[Path] = []
    for folder in folders:
        differ += stale_files(folder) if args.check else build_bundle(folder)
    for path in differ:
        print(f"{path} {'differs from its source' if args.check else 'written'}")
    return int(args.check and bool(differ))
