# SPDX-License-Identifier: Apache-2.0
"""`medvol bundle keygen`, `sign` and `trust`: who packed a bundle, and whom this user trusts."""

import argparse
import json
import os
import sys
from getpass import getpass
from pathlib import Path

from ...errors import printable, printable_lines


def add_parser(own: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `keygen`, `sign` and `trust` to the commands of `medvol bundle`."""
    new = own.add_parser(
        "keygen",
        help="make a key to sign bundles with",
        description="Make an Ed25519 key. KEYFILE is for your eyes only; the public key, which "
        "others need to know your signature, is printed and written beside it as .pub.",
    )
    new.add_argument(
        "-o", "--output", type=Path, required=True, metavar="KEYFILE",
        help="file to write; one that is there is never replaced",
    )  # fmt: skip
    new.add_argument(
        "--passphrase", action="store_true",
        help="ask for a passphrase, without which the key is of no use; the variable "
        "MEDVOL_PASSPHRASE answers in your place",
    )  # fmt: skip
    new.set_defaults(run=make_one)

    sign = own.add_parser(
        "sign",
        help="sign a packed bundle",
        description="Put a signature of its manifest into a packed bundle, in place of one that it "
        "has. A file that is not as its manifest says is refused.",
    )
    sign.add_argument("file", type=Path, help="packed bundle, a .zip; it is replaced")
    sign.add_argument(
        "--key", type=Path, required=True, metavar="KEYFILE", help="as `keygen` wrote it"
    )
    sign.set_defaults(run=sign_one)

    trust = own.add_parser(
        "trust",
        help="whose signatures count here",
        description="Add keys of people whose bundles you take, list them, and revoke them; list "
        "and revoke what you accepted yourself.",
    )
    what = trust.add_subparsers(dest="trust_command", required=True, metavar="COMMAND")
    add = what.add_parser("add", help="trust a key from now on")
    add.add_argument("name", help="of its owner, as you call them")
    add.add_argument("public_key", help="the line that keygen printed, or the file .pub with it")
    add.add_argument("--again", action="store_true", help="also a key that was revoked")
    add.set_defaults(run=add_one)
    every = what.add_parser("list", help="all keys, with names and fingerprints")
    every.add_argument(
        "--bundles", action="store_true", help="the bundles that you accepted, with their digests"
    )
    every.add_argument("--json", action="store_true", help="print a list of objects instead")
    every.set_defaults(run=list_all)
    revoke = what.add_parser(
        "revoke",
        help="trust a key no more: nothing that it signed is received or runs; or a bundle that "
        "you accepted",
    )
    revoke.add_argument(
        "name", help="of the key, or its fingerprint; or 12 digits of a bundle's digest, or all"
    )
    revoke.set_defaults(run=revoke_one)


def make_one(args: argparse.Namespace) -> int:
    """Make a key, and say what to do with its two halves.

    Raises:
        InputError: E_UNTRUSTED, no passphrase was given; and as for `make_key`.
    """
    from ...errors import InputError
    from ...sharing.keys import fingerprint, make_key, public_file

    passphrase = None
    if args.passphrase:
        passphrase = _passphrase(twice=True)
        if not passphrase:
            remedy = "Type the same words twice, or set MEDVOL_PASSPHRASE."
            raise InputError("E_UNTRUSTED", args.output, "there is no passphrase.", remedy)
    public = make_key(args.output, passphrase=passphrase)
    print(f"{printable(str(args.output))} written: your key, for nobody else")
    print(f"{printable(str(public_file(args.output)))} written: your public key, for other labs")
    print(f"public key:  {public}\nfingerprint: {fingerprint(public)}")
    return 0


def sign_one(args: argparse.Namespace) -> int:
    """Sign a packed bundle, and say with what."""
    from ...sharing.keys import fingerprint, public_key, read_key
    from ...sharing.signing import sign

    key = read_key(args.key, ask=_passphrase)
    manifest = sign(args.file, key)
    who = fingerprint(public_key(key))
    print(f"{printable(str(args.file))} signed: {manifest.name} {manifest.version}, key {who}")
    print(f"digest {manifest.digest}")
    return 0


def add_one(args: argparse.Namespace) -> int:
    """Trust a key, and print what its owner can compare."""
    from ...sharing.trust import trust

    key = trust(args.name, args.public_key, again=args.again)
    print(f"{key.name} is trusted now. Compare its fingerprint with the owner: {key.fingerprint}")
    return 0


def list_all(args: argparse.Namespace) -> int:
    """Print every key that was added, or every bundle that was accepted."""
    if args.bundles:
        _list_accepted(as_json=args.json)
        return 0
    from ...sharing.trust import trusted_keys
    from ...text import aligned

    keys = trusted_keys()
    if args.json:
        print(json.dumps([key.to_json() for key in keys], indent=2))
    elif not keys:
        print("no keys are trusted; add one: medvol bundle trust add NAME PUBLICKEY")
    else:
        rows = [
            (key.name, key.fingerprint, f"revoked {key.revoked[:10]}" if key.revoked else "trusted")
            for key in keys
        ]
        print(printable_lines(aligned([("name", "fingerprint", ""), *rows])))
    return 0


def revoke_one(args: argparse.Namespace) -> int:
    """Trust a key no more, and name what it signed; or a bundle that was accepted."""
    from ...sharing.trust import DIGITS, revoke, take_back, trusted_keys

    names = [key.name for key in trusted_keys()]
    if args.name not in names and DIGITS.fullmatch(args.name.strip().lower()):
        digest, known = take_back(args.name)
        print(printable(f"{known.name} ({digest[:12]}) is not accepted any more"))
        return 0
    key, bundles = revoke(args.name)
    print(f"{key.name} ({key.fingerprint}) is revoked: nothing that it signed is received")
    for bundle in bundles:
        print(f"{bundle.title} was signed with it, and does not run any more")
    return 0


def _list_accepted(*, as_json: bool) -> None:
    from ...bundle.known import accepted
    from ...text import aligned

    known = accepted()
    if as_json:
        print(json.dumps([{"digest": x, **one._asdict()} for x, one in known.items()], indent=2))
    elif not known:
        print("no bundle was accepted here")
    else:
        rows = [(x[:12], one.name, str(one.level), one.when[:10]) for x, one in known.items()]
        print(printable_lines(aligned([("digest", "bundle", "level", "accepted"), *rows])))


def _passphrase(twice: bool = False) -> str | None:
    """What the variable says, or what is typed; None where nobody types, or two answers differ."""
    from ...sharing.keys import PASSPHRASE_VARIABLE

    if given := os.environ.get(PASSPHRASE_VARIABLE):
        return given
    if not sys.stdin.isatty():
        return None
    answer = getpass("Passphrase of the key: ")
    return answer if not twice or getpass("The same again: ") == answer else None
