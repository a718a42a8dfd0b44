# SPDX-License-Identifier: Apache-2.0
"""The audit of a whole bundle: targets, arguments, overlays, macros and files that are odd."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from medvol.audit.audit import audit
from medvol.audit.verdict import Level
from medvol.bundle.find import shipped_bundles

from .written import worst_of, write

PLACES: dict[str, Any] = {
    "imports": ["$import os"],
    "bundle_root": ".",
    "output_dir": "$@bundle_root + '/eval'",
}


@pytest.mark.parametrize("name", sorted(shipped_bundles()))
def test_shipped_bundles_are_of_level_a(name: str) -> None:
    found = audit(shipped_bundles()[name])  # the first loads MONAI
    started = time.process_time()
    assert audit(shipped_bundles()[name]) == found
    assert time.process_time() - started < 2
    assert [str(item) for item in found.items if item.level != Level.A] == []
    kinds = {item.kind for item in found.items}
    assert {"target", "expression", "weights"} <= kinds


@pytest.mark.parametrize(
    "entry",
    [
        {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
        {"_target_": "SaveImaged", "keys": "pred"},
        {"_target_": "SaveImaged", "keys": "pred", "output_dir": "./eval", "output_postfix": "seg"},
        {"_target_": "SaveImaged", "output_dir": "$os.path.join(@bundle_root, 'eval')"},
        {"_target_": "LoadImaged", "keys": "image", "reader": "ITKReader"},
        {"_target_": "LoadImaged", "keys": "image", "reader": "medvol.images.reader.ImageReader"},
        {"_target_": "CheckpointLoader", "load_path": "/anywhere/model.pt"},
        {"_target_": "UNet", "_mode_": "callable"},
        {"_target_": "UNet", "_requires_": "@output_dir", "_disabled_": "$not @output_dir"},
        {"_target_": "DenseNet121", "pretrained": False},
        {"_target_": "torch.optim.Adam", "params": "$@output_dir.split('/')"},
        "%output_dir",
        "a text with $ and os.system('x') in it",
    ],
)
def test_what_bundles_need_is_a(entry: Any, tmp_path: Path) -> None:
    assert worst_of(tmp_path, inference={**PLACES, "part": entry}).level == Level.A


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"_target_": "os.system", "command": "x"}, "posix.system"),
        ({"_target_": "monai.bundle.scripts.os.system"}, "posix.system"),
        ({"_target_": "builtins.eval"}, "eval"),
        ({"_target_": "ConfigExpression", "config": "$1"}, "other bundles and configs"),
        ({"_target_": "monai.bundle.ConfigParser"}, "other bundles and configs"),
        ({"_target_": "SaveImaged", "output_dir": "/etc"}, "output_dir is '/etc'"),
        ({"_target_": "SaveImaged", "output_dir": "../../x"}, "writes outside"),
        ({"_target_": "SaveImaged", "output_dir": "$@output_dir + '/../..'"}, "writes outside"),
        ({"_target_": "SaveImaged", "output_postfix": "/../x"}, "writes outside"),
        ({"_target_": "Compose", "transforms": [
            {"_target_": "SaveImage", "output_dir": "/tmp/x"}]}, "writes outside"),
        ({"_target_": "CheckpointSaver", "save_dir": "~/x", "save_dict": {}}, "writes outside"),
        ({"_target_": "LogfileHandler", "output_dir": "C:\\x"}, "writes outside"),
        ({"_target_": "SaveImaged", "writer": "os.system"}, "loads writer"),
        ({"_target_": "LoadImaged", "reader": "subprocess.Popen"}, "loads reader"),
        ({"_target_": "LoadImaged", "allow_pickle": True}, "pickle"),
        ({"_target_": "UNet", "_mode_": "debug"}, "debugger"),
        ({"_target_": "UNet", "_debug_": True}, "debugger"),
        ({"_target_": "@t", "t": 1}, "posix.system"),
        ({"_target_": "$'os.' + 'system'"}, "posix.system"),
        ({"_target_": "UNet", "_requires_": "$os.system('x')"}, "posix.system"),
        ({"_target_": "UNet", "_disabled_": ["$os.system('x')"]}, "posix.system"),
        ({"_target_": "UNet", "_desc_": "$os.system('x')"}, "posix.system"),
        ({"_target_": "UNet", "_mode_": "$os.system('x')"}, "posix.system"),
        ({"_target_": "numpy.load", "file": "x.npy", "allow_pickle": True}, "pickle"),
        ({"_target_": "torch.load", "f": "x.pt", "weights_only": False}, "pickle"),
        ("%/etc/config.json::key", "outside the bundle"),
        ("%../config.json::key", "outside the bundle"),
        ("%other.json", "not in the bundle"),
    ],
)  # fmt: skip
def test_what_medvol_never_runs_is_c(entry: Any, words: str, tmp_path: Path) -> None:
    worst = worst_of(tmp_path, inference={**PLACES, "t": "os.system", "part": entry})
    assert worst.level == Level.C
    assert words in worst.reason


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"_target_": "scripts.nets.Net"}, "code that the bundle carries"),
        ({"_target_": "Lambdad", "keys": "image", "func": "$abs"}, "not on the list"),
        ({"_target_": "PersistentDataset", "data": [], "cache_dir": "c"}, "not on the list"),
        ({"_target_": "functools.partial", "func": "$len"}, "functools"),
        ({"_target_": "@output_dir"}, "can be anything"),
        ({"_target_": "$monai.networks.nets.UNet"}, "can be anything"),
        ({"_target_": {"_target_": "UNet"}}, "can be anything"),
        ({"_target_": ["UNet"]}, "can be anything"),
        ({"_target_": "SaveImaged", "_mode_": "callable"}, "without its arguments"),
        ({"_target_": "UNet", "_mode_": "@part"}, "cannot be told"),
        (
            {
                "_target_": "DatasetFunc",
                "data": "$torch.zeros(1, 4, 4)",
                "filename": "/etc/x",
                "func": {"_target_": "SaveImage", "output_dir": "eval"},
            },
            "where its caller says",
        ),
        ({"_target_": "SaveImaged", "output_name_formatter": "@output_dir"}, "of its own"),
        ({"_target_": "print", "file": "@handler"}, "without file only"),
        ("$print('x.nii', file=@handler)", "without file only"),
        ({"_target_": "NibabelWriter", "data_obj": "$torch.zeros(4, 4, 4)"}, "as its class"),
        ({"_target_": "medvol.outputs.mask.MaskWriter"}, "as its class"),
        ({"_target_": "LoadImage", "reader": "$@handler.name"}, "a member of something"),
        ({"_target_": "LoadImage", "reader": ["$@handler.name"]}, "a member of something"),
        ({"_target_": "SaveImaged", "writer": "$@handler.name"}, "a member of something"),
        ({"_target_": "LoadImage", "reader": {"_target_": "str", "object": "x"}}, "no images"),
        ({"_target_": "LoadImage", "reader": "os.path.join"}, "no images"),
        ({"_target_": "LoadImage", "reader": {"a": "x"}}, "no class"),
        ("$monai.transforms.LoadImage(@handler.name)", "a member of something"),
        ({"_target_": "SaveImaged", "output_dir": "$@bundle_root + '/.git/hooks'"}, "hidden"),
        ({"_target_": "LogfileHandler", "output_dir": ".", "filename": ".bashrc"}, "hidden"),
        ({"_target_": "LogfileHandler", "output_dir": ".", "filename": "conftest.py"}, "none of"),
        ({"_target_": "medvol.outputs.class_table.SaveClasses", "path": "Makefile"}, "none of"),
        ({"_target_": "CheckpointSaver", "save_dir": "x", "save_dict": "${'../x': @part}"}, "keys"),
        ({"_target_": "SupervisedEvaluator", "key_val_metric": "$dict([['../x', 1]])"}, "keys"),
        ({"_target_": "SaveImaged", "output_dir": "$str(@part)"}, "cannot be told"),
        ({"_target_": "SaveImaged", "output_dir": "@nowhere"}, "cannot be told"),
        ({"_target_": "LoadImaged", "reader": "NumpyReader"}, "loads reader"),
        ({"_target_": "DenseNet121", "pretrained": True}, "downloads"),
        ({"_target_": "monai.apps.DecathlonDataset", "root_dir": "x"}, "not on the list"),
        ("%inference.json::output_dir", "where the program is started"),
    ],
)
def test_what_is_not_known_is_b(entry: Any, words: str, tmp_path: Path) -> None:
    handler = {"_target_": "StatsHandler", "name": "os.system"}
    worst = worst_of(tmp_path, inference={**PLACES, "handler": handler, "part": entry})
    assert worst.level == Level.B, worst
    assert words in worst.reason


@pytest.mark.parametrize(
    "overlay",
    [
        {"saver#output_dir": "/etc"},
        {"saver::output_dir": "/etc"},
        {"+saver": {"output_dir": "/etc"}},
        {"saver#_target_": "os.system"},
        {"+saver": {"_target_": "os.system"}},
        {"output_dir": "/etc"},
        {"chain#transforms#0#output_dir": "/etc"},
    ],
)
@pytest.mark.parametrize("apart", [True, False], ids=["two files", "one file"])
def test_one_config_laid_over_another_is_followed(
    overlay: Any, apart: bool, tmp_path: Path
) -> None:
    saver = {"_target_": "SaveImaged", "output_dir": "@output_dir"}
    base = {**PLACES, "saver": saver, "chain": {"_target_": "Compose", "transforms": [saver]}}
    assert worst_of(tmp_path, train=base).level == Level.A
    configs = {"train": base, "evaluate": overlay} if apart else {"train": {**base, **overlay}}
    assert worst_of(tmp_path, **configs).level == Level.C


def test_relative_references_are_followed(tmp_path: Path) -> None:
    inner = {"folder": "/etc", "saver": {"_target_": "SaveImaged", "output_dir": "@##folder"}}
    assert "'/etc'" in worst_of(tmp_path, inference={"a": inner}).reason


def test_metadata_is_a_config_too(tmp_path: Path) -> None:
    saver = {"_target_": "SaveImaged", "output_dir": "@_meta_#where"}
    worst = worst_of(tmp_path, metadata={"where": "/etc"}, inference={"saver": saver})
    assert "'/etc'" in worst.reason
    assert worst_of(tmp_path, metadata={"where": "$eval('1')"}).level == Level.C


@pytest.mark.parametrize(
    ("text", "level", "words"),
    [
        ('{"a": 1, "a": 2}', Level.C, "'a' stands twice"),
        ("[" * 200 + "]" * 200, Level.C, "nested"),
        ("[" * 100_000 + "]" * 100_000, Level.C, "nested"),
        ('{"a": NaN}', Level.B, "NaN is not JSON"),
        ("[1]", Level.B, "not an object"),
        ("{", Level.B, "cannot be read"),
        ("\x00", Level.B, "cannot be read"),
    ],
)
def test_configs_are_read_strictly(text: str, level: Level, words: str, tmp_path: Path) -> None:
    worst = worst_of(tmp_path, inference=text)
    assert worst.level == level
    assert words in worst.reason


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("a:\n  _target_: UNet\n", Level.A),
        ("a: $os.system('x')\nb: $import os", Level.C),
        ("a: !!python/object/apply:os.system [x]", Level.B),
        ("a: 1\na: 2", Level.C),
        ("a: &x [*x]", Level.C),
        ("\n".join(["a0: &a0 [1]"] + [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]"
                                      for n in range(1, 12)]), Level.C),
    ],
)  # fmt: skip
def test_yaml_is_data_only(text: str, level: Level, tmp_path: Path) -> None:
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "inference.yaml").write_text(text)
    assert audit(tmp_path).level == level


def test_configs_elsewhere_in_the_folder_are_read(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "example.JSON").write_text('{"a": "$eval(1)"}')
    assert audit(tmp_path).level == Level.C


def test_nothing_of_the_bundle_is_imported(tmp_path: Path) -> None:
    """Not even where it lies in the folder from which Python was started."""
    write(tmp_path, inference={"a": {"_target_": "trap.Net"}, "b": "$import trap"})
    for name in ("trap", "torch_trap", "sitecustomize", "scripts"):
        (tmp_path / f"{name}.py").write_text("open('fired', 'w')")
    code = (
        "from pathlib import Path; from medvol.audit.audit import audit;print(audit(Path()).level)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.strip() in ("B", "C"), done.stderr
    assert not (tmp_path / "fired").exists()


def test_the_authors_own_place_of_a_bundle_is_b(tmp_path: Path) -> None:
    """Programs that run bundles put the bundle's own folder there."""
    saver = {"_target_": "SaveImaged", "output_dir": "@output_dir"}
    worst = worst_of(tmp_path, inference={**PLACES, "bundle_root": "/models/x", "saver": saver})
    assert (worst.level, worst.key) == (Level.B, "bundle_root")


def test_references_in_a_circle_and_in_a_fan_come_to_an_end(tmp_path: Path) -> None:
    chain: dict[str, Any] = {f"a{n}": f"@a{n + 1}" for n in range(40)}
    for name in "bcdefghijk":
        write(tmp_path, **{name: chain})
    saver = {"_target_": "SaveImaged", "output_dir": "@a0", "output_postfix": "$@p1 + @p1"}
    grown = {f"p{n}": f"$@p{n + 1} + @p{n + 1}" for n in range(1, 20)} | {"p20": "x" * 100}
    started = time.process_time()
    worst = worst_of(tmp_path, inference={**grown, "saver": saver, "c": "@c", "d": "$@d + 1"})
    assert worst.level == Level.B
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    "entries",
    [
        {"a": {"m": "$import os"}, "b": "$@a['m'].replace('x', 'y')"},
        {"a": {"m": "$import os"}, "b": "@a", "c": "$@b['m'].replace('x', 'y')"},
        {"a": {"m": "$import os"}, "b": "%a", "c": "$@b['m'].replace('x', 'y')"},
        {"a": {"_target_": "dict", "m": "$import os"}, "b": "$@a['m'].replace('x', 'y')"},
        {"a": ["$import torch.utils.collect_env as e"], "b": "$@a[0].run('x')"},
        {"imports": ["$import os"], "b": "$@imports#0.replace('x', 'y')"},
        {"imports": ["$import os"], "b": "$[m.replace('x', 'y') for m in @imports]"},
        {"a": {"m": "$import os", "b": "$@#m.replace('x', 'y')"}},
        {"a": {"m": "$import os"}, "b": "%"},
        {"a": {"_target_": "dict", "x": {"_target_": "dict", "m": "$import os"}}, "b": "@a"},
        {"+imports": ["$import os"], "b": "@imports#7"},
        {"a": {"_target_": "SaveImaged", "output_dir": "@##y"}, "y": "eval", "b": ["%a", "/etc"]},
        {"a": {"../../x": {"_target_": "MeanDice"}}},
        {"a": {"/etc/x": "@a#y", "y": 1}},
        {"a": {"_target_": "MeanDice", "b": {"x/y": "$1"}}},
        {
            "a": {"_target_": "SupervisedEvaluator", "key_val_metric": {}},
            "b": 1,
            "a#key_val_metric#../x": "@b",
        },
    ],
)
def test_what_leads_to_a_module_or_names_a_file_is_b(entries: Any, tmp_path: Path) -> None:
    assert worst_of(tmp_path, inference=entries).level == Level.B


def test_imports_of_all_configs_count(tmp_path: Path) -> None:
    """What a name means in one config, it may mean in another that is laid over it."""
    first, second = {"imports": ["$import glob as g"]}, {"imports": ["$import os as g"]}
    used = {"files": "$g.glob('*.nii.gz')"}
    assert worst_of(tmp_path, train={**first, **used}).level == Level.A
    assert worst_of(tmp_path, train={**first, **used}, evaluate=second).level == Level.B
    assert worst_of(tmp_path, train={**first, "x": "$g.remove('a')"}, z=second).level == Level.C


@pytest.mark.parametrize(
    "entries",
    [
        {"a": {"b::c": "/etc", "b": {"c": "eval"}}, "where": "@a#b#c"},
        {"optional_packages_version": {"x": "/etc"}, "required_packages_version": {"x": "eval"},
         "where": "@required_packages_version#x"},
    ],
    ids=["an id twice", "an older name"],
)  # fmt: skip
def test_every_value_that_an_id_can_have_counts(entries: Any, tmp_path: Path) -> None:
    saver = {"_target_": "SaveImaged", "output_dir": "@where"}
    assert "'/etc'" in worst_of(tmp_path, inference={**entries, "saver": saver}).reason
