# SPDX-License-Identifier: Apache-2.0
"""Parts of the page that need no browser: packing, finding a label, telling what a file is."""

import io
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phantoms import save_nifti

from medvol.images.dicom import RADIOGRAPHY
from medvol.server.page.files import STATIC


@pytest.fixture
def run(node: str) -> Any:
    """Runs lines of JavaScript that print JSON; modules are imported from `JS`."""

    def lines(code: str) -> Any:
        code = code.replace("JS/", f"file://{STATIC}/js/")
        done = subprocess.run(
            [node, "--input-type=module", "-e", code], capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    return lines


def test_a_folder_is_packed_as_others_read_it(run: Any) -> None:
    packed = run("""
        const { zipOf } = await import("JS/zip.js");
        const files = [["a/1.dcm", "DICM"], ["a/ñ 2.dcm", "x".repeat(70000)], ["b", ""]];
        const shares = [];
        const zip = await zipOf(
          files.map(([name, text]) => ({ name, content: new Blob([text]) })),
          (share) => shares.push(share));
        const bytes = Buffer.from(await zip.arrayBuffer()).toString("hex");
        console.log(JSON.stringify({ bytes, shares }));
    """)
    with zipfile.ZipFile(io.BytesIO(bytes.fromhex(packed["bytes"]))) as archive:
        assert archive.testzip() is None
        found = {name: archive.read(name) for name in archive.namelist()}
    assert found == {"a/1.dcm": b"DICM", "a/ñ 2.dcm": b"x" * 70000, "b": b""}
    assert packed["shares"] == pytest.approx([1 / 3, 2 / 3, 1])


def test_a_label_is_found_where_most_of_it_is(run: Any) -> None:
    """Of a mask of 5 x 4 x 3 voxels: label 1 has a spot of three and a single voxel in its fullest
    slice, label 2 a single voxel, label 7 none."""
    spots = run("""
        const { spotsOf } = await import("JS/spots.js");
        const mask = new Uint8Array(5 * 4 * 3);
        const put = (x, y, z, value) => { mask[x + 5 * (y + 4 * z)] = value; };
        put(4, 3, 0, 1);
        put(1, 0, 2, 1); put(1, 1, 2, 1); put(1, 2, 2, 1); put(4, 3, 2, 1);
        put(3, 2, 1, 2);
        console.log(JSON.stringify([...spotsOf(mask, [5, 4, 3], [1, 2, 7])]));
    """)
    assert spots == [[1, [1, 1, 2]], [2, [3, 2, 1]]]


def test_dicom_says_what_it_is(run: Any) -> None:
    found = run("""
        const { RADIOGRAPHY, dicomModality, fits, kindOf } = await import("JS/kinds.js");
        const head = new Uint8Array(132);
        const of = (...bytes) => dicomModality(Uint8Array.from([...head, ...bytes]));
        const explicit = of(8, 0, 0x60, 0, 0x43, 0x53, 2, 0, 0x44, 0x58);
        const implicit = of(8, 0, 0x60, 0, 2, 0, 0, 0, 0x4d, 0x52);
        const none = of(8, 0, 0x70, 0, 0x43, 0x53, 2, 0, 0x44, 0x58);
        const name = async (text) => (await kindOf(new File([""], text))).shape;
        const ct = { task: "volumes", modality: "CT" };
        const xray = { task: "radiographs", modality: "XR" };
        const is = (bundle, shape, modality) => fits(bundle, { shape, modality });
        console.log(JSON.stringify({
          modalities: [explicit, implicit, none], radiography: RADIOGRAPHY,
          shapes: [await name("a.PNG"), await name("ct.nii.gz"), await name("IM0001")],
          fits: [is(ct, "volume", "CT"), is(ct, "volume", ""), is(ct, "volume", "MR"),
                 is(ct, "picture", ""), is(xray, "picture", "DX"), is(xray, "volume", "CT"),
                 is(xray, "", "")],
        }));
    """)
    assert found["modalities"] == ["DX", "MR", ""]
    assert found["radiography"] == [*RADIOGRAPHY]
    assert found["shapes"] == ["picture", "volume", ""]
    assert found["fits"] == [True, True, False, False, True, False, True]


@pytest.mark.parametrize(
    ("values", "is_ct"),
    [(np.int16([0, -1000]), True), (np.int16([0, -499]), False),
     (np.float32([0, -501]), True), (np.uint16([3, 900]), False)],
)  # fmt: skip
@pytest.mark.parametrize("name", ["image.nii", "image.nii.gz"])
def test_a_ct_is_known_by_its_air(
    run: Any, tmp_path: Path, name: str, values: np.ndarray, is_ct: bool
) -> None:
    path = save_nifti(tmp_path / name, np.resize(values, (4, 4, 4)), np.eye(4))
    found = run(f"""
        const {{ readFile }} = await import("node:fs/promises");
        const {{ niftiModality }} = await import("JS/nifti.js");
        console.log(JSON.stringify([
          await niftiModality(new Blob([await readFile("{path}")])),
          await niftiModality(new Blob([(await readFile("{path}")).subarray(0, 60)])),
        ]));
    """)
    assert found == ["CT" if is_ct else "", ""]
