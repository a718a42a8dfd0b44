# SPDX-License-Identifier: Apache-2.0
"""Names of objects: which one a name means, and that only those on the list are of level A."""

import json

import pytest

from medvol.audit.names import ALLOWED, is_harmless_module, judge_name, meant_by
from medvol.audit.verdict import Level

LISTED = [
    f"{module}.{name}"
    for module, names in json.loads(ALLOWED.read_text(encoding="utf-8")).items()
    for name in names
]


def test_every_name_on_the_list_is_an_object_that_is_there() -> None:
    assert len(LISTED) > 1500
    assert [name for name in LISTED if judge_name(name).level != Level.A] == []


def test_nothing_on_the_list_is_a_module_or_private() -> None:
    for name in LISTED:
        assert not any(part.startswith("_") for part in name.split("."))
        assert judge_name(name).reason in ("is on the list", "is a constant")


@pytest.mark.parametrize(
    "name",
    ["torch.nn.Conv3d", "torch.where", "numpy.float32", "torch.float32", "len", "os.path.join",
     "monai.utils.InterpolateMode.BICUBIC", "medvol.networks.resunet.ResUNet", "os.sep",
     "scripts.medvol.v0_1_0_12ab34cd.networks.resunet.ResUNet",
     "scripts.medvol.networks.resunet.ResUNet"],
)  # fmt: skip
def test_what_is_known_to_be_harmless_is_a(name: str) -> None:
    assert judge_name(name).level == Level.A


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("monai.bundle.scripts.os.system", "posix.system"),
        ("monai.data.utils.pickle.loads", "_pickle.loads"),
        ("torch.os.system", "posix.system"),
        ("eval", "builtins.eval"),
        ("exit", "builtins.exit"),
        ("subprocess.Popen", "subprocess.Popen"),
        ("torch.hub.load", "torch.hub.load"),
        ("monai.bundle.run", "monai.bundle.scripts.run"),
        ("torch.ops.load_library", "torch._ops._Ops.load_library"),
        ("numpy.f2py.__main__", "numpy.f2py.__main__"),
        ("os.remove", "os.remove"),
        ("threading.Thread", "threading.Thread"),
        ("monai.utils.run_cmd", "monai.utils.misc.run_cmd"),
        ("torch.utils.collect_env.run", "torch.utils.collect_env.run"),
        ("numpy.savetxt", "numpy.savetxt"),
        ("os.makedirs", "os.makedirs"),
        ("torch.save", "torch.serialization.save"),
    ],
)
def test_what_medvol_never_runs_is_c_by_whatever_name(name: str, found: str) -> None:
    judged = judge_name(name)
    assert judged.level == Level.C
    assert judged.name.replace("os.", "posix.") == found.replace("os.", "posix.")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("functools.partial", "is of functools, which is not on the list"),
        ("getattr", "is not on the list"),
        ("ourNet", "is a name that is not known here"),
        ("monai.transforms.Lambdad", "is not on the list"),
        ("monai.transforms.utility.array.os", "is not on the list"),
        ("scripts.mine.Net", "is code that the bundle carries"),
        ("torch.nn.os", "is not on the list"),
        ("torch.nn", "is a whole module"),
        ("my_package.Net", "is of my_package, which is not on the list"),
        ("torch.nn.Conv3d.forward", "is not on the list"),
    ],
)
def test_what_is_not_known_is_b(name: str, reason: str) -> None:
    judged = judge_name(name)
    assert (judged.level, judged.reason) == (Level.B, reason)


def test_all_names_of_a_transform_mean_one_object() -> None:
    names = ["Activationsd", "ActivationsD", "ActivationsDict", "monai.transforms.Activationsd"]
    objects = {judge_name(meant).object for name in names for meant in meant_by(name)}
    assert {made.__name__ for made in objects} == {"Activationsd"}
    assert len(objects) == 1


def test_a_name_is_not_taken_for_a_prefix_of_one_on_the_list() -> None:
    assert judge_name("torch.nn.Conv3d").level == Level.A
    assert judge_name("torch.nn.Conv3dx").level == Level.B
    assert judge_name("torch.nn.Conv3d.register_forward_hook").level == Level.B


@pytest.mark.parametrize("name", ["subprocess", "numpy.f2py.__main__", "scripts", "torch.hub"])
def test_modules_that_are_not_imported_freely(name: str) -> None:
    assert not is_harmless_module(name)
