# SPDX-License-Identifier: Apache-2.0
"""Segments as 3D Slicer writes them: with and without layers, of old and new versions."""

import gzip

import numpy as np
import pytest

from medvol.errors import InputError
from medvol.images.segments import Segment, has_segments, read_segments

HEADER = """NRRD0004
type: unsigned char
dimension: {dimension}
space: left-posterior-superior
sizes: {sizes}
space directions: {none}(-2,0,0) (0,-2,0) (0,0,3)
kinds: {list}domain domain domain
encoding: gzip
space origin: (4,6,8)
"""


def _write(path, layers, *pairs):
    """A file with these layers (L, X, Y, Z), or with one volume (X, Y, Z), and `key:=value`s."""
    several = layers.ndim == 4
    text = HEADER.format(
        dimension=layers.ndim, sizes=" ".join(map(str, layers.shape)),
        none="none " if several else "", list="list " if several else "",
    )  # fmt: skip
    text += "".join(f"{key}:={value}\n" for key, value in pairs) + "\n"
    path.write_bytes(text.encode() + gzip.compress(layers.tobytes(order="F")))
    return path


def _named(number, name, value=None, layer=None):
    given = {"Name": name, "LabelValue": value, "Layer": layer}
    return [(f"Segment{number}_{key}", x) for key, x in given.items() if x is not None]


def test_one_layer_with_labels(tmp_path):
    volume = np.zeros((3, 4, 5), np.uint8)
    volume[0, 0, 0], volume[2, 3, 4] = 2, 7
    path = _write(
        tmp_path / "a.seg.nrrd", volume, *_named(0, "ground-glass", 2, 0), *_named(1, "Blut", 7, 0)
    )
    found = read_segments(path)
    assert has_segments(path)
    assert found.segments == (Segment("ground-glass", 2, 0), Segment("Blut", 7, 0))
    assert np.argwhere(found.marked(found.segments[1])).tolist() == [[2, 3, 4]]
    assert found.affine.tolist() == [[2, 0, 0, -4], [0, 2, 0, -6], [0, 0, 3, 8], [0, 0, 0, 1]]


def test_segments_that_overlap_lie_in_layers_and_the_last_wins(tmp_path):
    layers = np.zeros((2, 3, 4, 5), np.uint8)
    layers[0, :2, 0, 0] = 1
    layers[1, 1:, 0, 0] = 1
    path = _write(tmp_path / "a.seg.nrrd", layers, *_named(0, "a", 1, 0), *_named(1, "b", 1, 1))
    labels, twice = read_segments(path).label_map({"a": 5, "b": 6})
    assert labels[:, 0, 0].tolist() == [5, 6, 6]
    assert twice == 1
    assert labels.sum() == 17
    labels, twice = read_segments(path).label_map({"a": 5, "b": 0})
    assert (labels[:, 0, 0].tolist(), twice) == ([5, 5, 0], 0)
    _, twice = read_segments(path).label_map({"a": 5, "b": 5})
    assert twice == 0  # both are the same label


def test_an_old_file_has_a_layer_for_each_segment_without_saying_so(tmp_path):
    layers = np.zeros((2, 3, 4, 5), np.uint8)
    layers[1, 2, 2, 2] = 1
    path = _write(tmp_path / "a.seg.nrrd", layers, *_named(0, "a"), *_named(1, "b"))
    found = read_segments(path)
    assert [(x.value, x.layer) for x in found.segments] == [(1, 0), (1, 1)]
    assert np.argwhere(found.marked(found.segments[1])).tolist() == [[2, 2, 2]]


def test_a_crop_of_one_slice_is_a_mask_still(tmp_path):
    path = _write(tmp_path / "a.seg.nrrd", np.ones((3, 4, 1), np.uint8), *_named(0, "a", 1, 0))
    assert read_segments(path).layers.shape == (1, 3, 4, 1)


def test_names_of_any_letters_and_escapes(tmp_path):
    volume = np.ones((2, 2, 2), np.uint8)
    path = _write(tmp_path / "a.seg.nrrd", volume, *_named(0, r"肺 a\\b", 1, 0))
    assert read_segments(path).names == ("肺 a\\b",)


def test_numbers_that_are_left_out_cost_no_segment(tmp_path):
    volume = np.ones((2, 2, 2), np.uint8)
    volume[1] = 2
    path = _write(tmp_path / "a.seg.nrrd", volume, *_named(4, "b", 2, 0), *_named(1, "a", 1, 0))
    assert read_segments(path).segments == (Segment("a", 1, 0), Segment("b", 2, 0))


def test_a_plain_volume_has_no_segments(tmp_path):
    assert not has_segments(_write(tmp_path / "a.nrrd", np.ones((2, 2, 2), np.uint8)))


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        (_named(0, "a", "one", 0), "not a number"),
        (_named(0, "a", 0, 0), "no voxels of its own"),
        (_named(0, "a", 1, 1), "no voxels of its own"),
    ],
)
def test_a_segment_without_voxels_of_its_own_is_refused(tmp_path, pairs, why):
    path = _write(tmp_path / "a.seg.nrrd", np.ones((2, 2, 2), np.uint8), *pairs)
    with pytest.raises(InputError, match=why) as refused:
        read_segments(path)
    assert refused.value.code == "E_CORRUPT"


def test_segments_of_fractions_are_refused(tmp_path):
    path = _write(tmp_path / "a.seg.nrrd", np.ones((2, 2, 2), np.float32), *_named(0, "a", 1, 0))
    text = path.read_bytes().replace(b"unsigned char", b"float\nendian: little")
    path.write_bytes(text)
    with pytest.raises(InputError, match="not whole numbers") as refused:
        read_segments(path)
    assert refused.value.code == "E_VALUES"
