# SPDX-License-Identifier: Apache-2.0
"""What MONAI's own tools and the model zoo ask of a bundle, each from wherever it is started.

    python bundle_in_monai.py CHECK BUNDLE SCHEMA FOLDER

SCHEMA is the file at the address `schema` of the metadata, FOLDER takes what is written. A check
that fails says why in the last line, with exit status 1.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

FILES = ("LICENSE", "configs/metadata.json", "configs/inference.json", "models/model.pt")
LARGE_BYTES = 25_000_000  # the zoo keeps larger files elsewhere, listed in large_files.yml


def zoo_files(bundle: Path, _schema: Path, _folder: Path) -> None:
    """The files are there that the zoo demands, none is too large, and the version is explained."""
    missing = [name for name in FILES if not (bundle / name).is_file()]
    large = [
        path.name
        for path in bundle.rglob("*")
        if path.is_file() and path.stat().st_size > LARGE_BYTES
    ]
    if missing or (large and not [*bundle.glob("large_files.*")]):
        raise ValueError(f"missing {missing}, too large {large}")
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))
    if metadata["version"] not in metadata["changelog"]:
        raise ValueError(f"version {metadata['version']} is not in the changelog")


def verify_metadata(bundle: Path, schema: Path, folder: Path) -> None:
    """The metadata keep to their schema, which is taken from a file in place of its address."""
    from monai.bundle import verify_metadata as verify

    metadata = bundle / "configs" / "metadata.json"
    if not json.loads(metadata.read_text(encoding="utf-8"))["schema"].startswith("https://"):
        raise ValueError("the metadata name no schema")
    shutil.copyfile(schema, folder / "schema.json")
    given = hashlib.sha256(schema.read_bytes()).hexdigest()
    verify(
        meta_file=str(metadata), filepath=str(folder / "schema.json"),
        hash_val=given, hash_type="sha256",
    )  # fmt: skip


def verify_net_in_out(bundle: Path, _schema: Path, _folder: Path) -> None:
    """The network takes and gives what the metadata say."""
    from monai.bundle import verify_net_in_out as verify

    verify(net_id="network_def", device="cpu", **_configs(bundle))


def ckpt_export(bundle: Path, _schema: Path, folder: Path) -> None:
    """Network and weights become TorchScript."""
    from monai.bundle import ckpt_export as export

    weights, made = bundle / "models" / "model.pt", folder / "model.ts"
    export(net_id="network_def", filepath=str(made), ckpt_file=str(weights), **_configs(bundle))
    if not made.is_file():
        raise ValueError("no TorchScript was written")


def load(bundle: Path, _schema: Path, folder: Path) -> None:
    """The network comes with its weights, by the bundle's name and the folder that it lies in."""
    import torch
    from monai.bundle import load as load_bundle

    (folder / "args.json").write_text(json.dumps({"bundle_root": str(bundle)}))
    network = load_bundle(
        bundle.name, bundle_dir=str(bundle.parent), workflow_type="inference",
        args_file=str(folder / "args.json"),
    )  # fmt: skip
    own = torch.load(bundle / "models" / "model.pt", weights_only=True)
    if not all(torch.equal(network.state_dict()[name], value) for name, value in own.items()):
        raise ValueError("the network has other weights than models/model.pt")


def _configs(bundle: Path) -> dict[str, Any]:
    return {
        "meta_file": str(bundle / "configs" / "metadata.json"),
        "config_file": str(bundle / "configs" / "inference.json"),
        "bundle_root": str(bundle),
    }


CHECKS: Mapping[str, Callable[[Path, Path, Path], None]] = {
    check.__name__: check
    for check in (zoo_files, verify_metadata, verify_net_in_out, ckpt_export, load)
}


def main(check: str, bundle: str, schema: str, folder: str) -> None:
    CHECKS[check](Path(bundle), Path(schema), Path(folder))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    from last_line import said_in_one_line

    said_in_one_line(main)
