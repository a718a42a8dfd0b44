# SPDX-License-Identifier: Apache-2.0
"""Drive a server with a client of MONAI Label as 3D Slicer's module does; prints JSON.

    python ask_as_slicer.py WHICH URL MODEL IMAGE FOLDER [TOKEN]

WHICH is "client", of the package, or "plugin", of the module itself, both of monailabel 0.8.5 as
they are. It runs in an environment of its own with monailabel and requests, without medvol. The
steps are those of the module: pick a model, send a volume, segment, correct, submit, next image.
"""

import importlib.util
import json
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

META = {"level": "easy"}
PLUGINS = "monailabel/plugins/slicer"  # below the environment
CLIENT = f"{PLUGINS}/MONAILabel/MONAILabelLib/client.py"
REVIEWER = f"{PLUGINS}/MONAILabelReviewer/MONAILabelReviewerLib/MonaiServerREST.py"


def main(which: str, url: str, model: str, image: str, folder: str, token: str = "") -> None:
    module = (
        loaded(CLIENT) if which == "plugin" else importlib.import_module("monailabel.client.client")
    )
    client = module.MONAILabelClient(url, tmpdir=folder, client_id="user-xyz")
    if client.auth_enabled():
        assert not client.auth_valid_token()
        client.update_auth(client.auth_token("medvol", token))
        assert client.auth_valid_token()
    seen: dict[str, Any] = {"info": client.info(), "training": client.train_status(True)}
    session = client.create_session(image)["session_id"]
    assert client.get_session(session)["name"] == session
    path, params = client.infer(model, "volume", {}, session_id=session)
    seen["params"] = params
    mask = Path(path).rename(Path(folder) / "mask.nrrd")
    client.upload_image(image, "Doe^John 1/é")
    rows = [{"name": name, "idx": k} for k, name in enumerate(params["label_names"], start=1)]
    seen["submitted"] = client.save_label("Doe^John 1/é", str(mask), params={"label_info": rows})
    seen["datastore"] = client.datastore()
    got = client.download_label("Doe^John 1/é", "final")
    Path(got).rename(Path(folder) / "label.nii.gz")
    seen["next"] = client.next_sample("undecided", {})
    try:
        client.train_start(model, {"epochs": 1})
    except module.MONAILabelClientException as error:
        seen["refused"] = error.msg
    if which == "plugin" and not token:  # the reviewer knows no tokens
        reviewer = loaded(REVIEWER).MonaiServerREST(url)
        assert reviewer.checkServerConnection()
        seen["reviewed"] = [
            reviewer.updateLabelInfo("Doe^John 1/é", "final", {"segmentationMeta": META}),
            reviewer.saveLabel("Doe^John 1/é", str(mask), "version_1", {"label_info": rows}),
            reviewer.requestSegmentation("Doe^John 1/é", "version_1").status_code,
            reviewer.deleteLabelByVersionTag("Doe^John 1/é", "version_1"),
        ]
        seen["datastore"] = reviewer.requestDataStoreInfo()
    client.remove_session(session)
    print(json.dumps(seen))


def loaded(name: str) -> ModuleType:
    """A file of the plug-ins, which are no package outside of 3D Slicer."""
    path = Path(sysconfig.get_path("data")) / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None, path
    assert spec.loader is not None, path
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return module


if __name__ == "__main__":
    main(*sys.argv[1:])
