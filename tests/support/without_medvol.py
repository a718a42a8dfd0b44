# SPDX-License-Identifier: Apache-2.0
"""A process in which there is no medvol: packed bundles are run there by MONAI alone.

    python -I -S -B without_medvol.py PACKAGES run BUNDLE IMAGES OUTPUT   # from the bundle's folder
    python -I -S -B without_medvol.py PACKAGES all BUNDLE OTHER IMAGES OUTPUT   # from /

`PACKAGES` is a folder of `only_packages`: nothing else is installed for this process. The last line
is JSON. `OTHER` is the same bundle with another version of medvol.
"""

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def run(bundle: str, images: str, output: str) -> dict[str, Any]:
    """`python -m monai.bundle run` from the bundle's own folder."""
    from monai.bundle import run as run_bundle

    os.chdir(bundle)
    run_bundle(config_file="configs/inference.json", dataset_dir=images, output_dir=output)
    return {"files": files(output)}


def everything(bundle: str, other: str, images: str, output: str) -> dict[str, Any]:
    """What MONAI does with a bundle, from `/`."""
    from monai.bundle import ConfigParser, ConfigWorkflow, ckpt_export, load, verify_net_in_out

    os.chdir("/")
    config, meta = f"{bundle}/configs/inference.json", f"{bundle}/configs/metadata.json"
    workflow = ConfigWorkflow(
        config, meta, workflow_type="infer", bundle_root=bundle, dataset_dir=images,
        output_dir=output, logging_file=False,
    )  # fmt: skip
    workflow.initialize()
    lacks = workflow.check_properties()
    workflow.run()
    workflow.finalize()
    verify_net_in_out("network_def", meta, config, device="cpu", bundle_root=bundle)
    exported = Path(output, "exported.ts")
    ckpt_export(
        "network_def", str(exported), f"{bundle}/models/model.pt", meta, config, bundle_root=bundle
    )
    args = Path(output, "args.json")
    args.write_text(json.dumps({"bundle_root": bundle}))
    network = load(
        Path(bundle).name, bundle_dir=str(Path(bundle).parent), args_file=str(args), device="cpu",
        workflow_type="inference",
    )  # fmt: skip
    chains = []
    for root in (bundle, other, bundle):
        parser = ConfigParser()
        parser.read_config(f"{root}/configs/inference.json")
        parser["bundle_root"] = root
        chains.append(parser.get_parsed_content("preprocessing"))
    return {
        "lacks": lacks,
        "exported": exported.stat().st_size > 0,
        "loaded": type(network).__name__,
        "fingerprints": [chain.fingerprint for chain in chains],
        "files": [name for name in files(output) if not name.endswith((".ts", "args.json"))],
    }


def files(folder: str) -> list[str]:
    """Paths below a folder."""
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file())


if __name__ == "__main__":
    sys.path.append(sys.argv[1])
    assert find_spec("medvol") is None
    work = {"run": run, "all": everything}[sys.argv[2]]
    print(json.dumps(work(*sys.argv[3:])))
