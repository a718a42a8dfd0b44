# SPDX-License-Identifier: Apache-2.0
"""Expressions: a verdict for each form, from the syntax tree alone."""

from itertools import product

import pytest

from medvol.audit.configs import nodes
from medvol.audit.entries import Entries
from medvol.audit.expressions import MEMBERS, Said, Scope, judge_expression
from medvol.audit.imports import import_in, names_of
from medvol.audit.names import STANDARD, judge_name
from medvol.audit.verdict import Level

IMPORTS = ("$import os", "$import sys", "$import glob", "$import monai", "$import math",
           "$import torch.distributed as dist", "$import json")  # fmt: skip
CONFIG = {
    "imports": list(IMPORTS),
    "bundle_root": ".",
    "output_dir": "$@bundle_root + '/eval'",
    "device": "$torch.device('cpu')",
    "images": "$list(sorted(glob.glob(@bundle_root + '/*.nii.gz')))",
    "network_def": {"_target_": "UNet"},
    "network": "$@network_def.to(@device)",
    "train": {"trainer": {"_target_": "SupervisedTrainer"}, "handlers": []},
    "saver": {"_target_": "SaveImage", "output_dir": "@output_dir"},
    "module": "$import os",
    "size": [1, 2, 3],
}


def said(expression: str) -> Said:
    imports = [found for text in IMPORTS if (found := import_in(text)) is not None]
    known = Entries(nodes("a", CONFIG), modules=[("module",), ("imports", "0")])
    return judge_expression(expression, Scope(names_of(imports), known))


@pytest.mark.parametrize(
    "expression",
    [
        "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "$@bundle_root + '/eval'",
        "$os.path.join(@bundle_root, 'models', 'model.pt')",
        "$list(sorted(glob.glob(@bundle_root + '/imagesTr/*.nii.gz')))",
        "$[{'image': i, 'label': l} for i, l in zip(@images[:-9], @images[-9:])]",
        "$[x.replace('.jpg', '_seg.jpg') for x in @images]",
        "$@network_def.to(@device)",
        "$@network.parameters()",
        "$@train#trainer.run()",
        "$monai.handlers.from_engine(['loss'], first=True)",
        "$monai.handlers.from_engine(['loss'], first=True)(@size)",
        "$monai.utils.set_determinism(seed=123)",
        "$setattr(torch.backends.cudnn, 'benchmark', True)",
        "$torch.device('cuda:' + os.environ['LOCAL_RANK'])",
        "$int(os.environ.get('LOCAL_RANK', '0'))",
        "$dist.is_initialized() or dist.init_process_group(backend='nccl')",
        "$@train#handlers[: -2 if dist.get_rank() > 0 else None]",
        "$sum(stage.epochs for stage in @size)",
        "$[*@size, 2 ** 4, 7 // 2, -3]",
        '$f"fold {@size}"',
        "$numpy.float32",
        "$torch.load(@output_dir + '/model.pt', weights_only=True)",
        "$math.sqrt(2) * @size[0]",
        "$not os.path.exists(@output_dir)",
        "$sys.path.insert(0, os.path.abspath(@bundle_root)) "
        "if os.path.abspath(@bundle_root) not in sys.path else None",
        "$import torch",
        "$from monai.transforms import Compose",
        "$None",
    ],
)
def test_what_configs_need_is_a(expression: str) -> None:
    assert said(expression)[0] == Level.A, said(expression)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("$os.system('x')", "system"),
        ("$monai.bundle.scripts.os.system('x')", "posix.system"),
        ("$eval('1')", "eval"),
        ("$exec('1')", "exec"),
        ("$__import__('os').system('x')", "__import__"),
        ("$[f for f in [os.system]][0]('x')", "posix.system"),
        ("$map(os.system, ['x'])", "posix.system"),
        ("$().__class__.__bases__[0].__subclasses__()", "__"),
        ("$torch.hub.load('a', 'b', source='local')", "downloads code"),
        ("$numpy.load('a.npy', allow_pickle=True)", "pickle"),
        ("$torch.load('a.pt', weights_only=False)", "pickle"),
        ("$torch.load('a.pt', None, None, weights_only=False)", "pickle"),
        ("$monai.bundle.load('a')", "other bundles"),
        ("$sys.exit(0)", "ends the process"),
        ("$os._exit(0)", "posix._exit"),
        ("$exit()", "ends the process"),
        ("$'a' if os.remove('x') else 'b'", "remove"),
        ("$f'{os.system(0)}'", "posix.system"),
        ("$monai.transforms.SaveImage(output_dir='/etc')", "writes outside"),
        ("$monai.transforms.SaveImage('/etc')", "writes outside"),
        ("$torch.save(@network, 'x')", "writes a pickle"),
        ("$breakpoint()", "breakpoint"),
        ("$(lambda: os.system('x'))()", "posix.system"),
    ],
)
def test_what_medvol_never_runs_is_c(expression: str, words: str) -> None:
    level, reason = said(expression)
    assert level == Level.C
    assert words in reason


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("$lambda x: x + 1", "a function of its own"),
        ("$(y := 3)", "binds a name"),
        ("$getattr(os, 'sys' + 'tem')('x')", "whole module"),
        ("$os", "whole module"),
        ("$@module", "whole module"),
        ("$@module.replace('a', 'b')", "whole module"),
        ("$@nowhere.to(1)", "which no config has"),
        ("$open('/etc/passwd').read()", "open"),
        ("$@network.register_forward_hook(len)", "register_forward_hook"),
        ("$@network._modules", "inside of an object"),
        ("$os.environ['HOME']", "environ"),
        ("$os.environ.get('HOME')", "environ"),
        ("$sys.path.append(@bundle_root)", "sys.path"),
        ("$sys.path.insert(0, os.path.abspath('/tmp')) "
         "if os.path.abspath('/tmp') not in sys.path else None", "sys.path"),
        ("$9**9**9", "a power that can"),
        ("$2**@size[0]", "a power that can"),
        ("$(9**16)**16", "a power that can"),
        ("$1e300 ** 16", "a power that can"),
        ("$9 ** 99999999999", "a power that can"),
        ("$1 << 900", "a power that can"),
        ("$[a for a in range(10**9)]", "a power that can"),
        ("$range(9)[99999999999]", "number above"),
        ("$'a' * 1000000", "repeats"),
        ("$'%99999999d' % 1", "formats"),
        ("$f'{1:99999999}'", "formats"),
        ("$import subprocess", "subprocess"),
        ("$import scripts", "the bundle carries"),
        ("$from scripts.x import y", "the bundle carries"),
        ("$import numpy.f2py.__main__", "not on the list"),
        ("$from json import loads as str", "gives str another meaning"),
        ("$import glob as os", "gives os another meaning"),
        ("$import monai as torch", "gives torch another meaning"),
        ("$[os for os in @size][0].path", "another meaning"),
        ("$map(monai.transforms.SaveImage, @size)", "without its arguments"),
        ("$monai.transforms.SaveImage(*@size)", "cannot be told"),
        ("$monai.transforms.SaveImage('eval')", "where its caller says"),
        ("$monai.engines.SupervisedEvaluator('cpu', [], @network, key_val_metric={'../x': @size})",
         "names files by the keys of key_val_metric"),
        ("$@saver(@size, filename='/etc/x')", "calls @saver"),
        ("$dist.init_process_group('nccl', 'tcp://10.0.0.1:1')", "without init_method"),
        ("$monai.networks.nets.DenseNet121(2, 1, 2, pretrained=True)", "downloads"),
        ("$monai.networks.nets.EfficientNetBN('efficientnet-b0')", "downloads"),
        ("$setattr(torch.backends.cudnn, 'x', True)", "whole module"),
        ("$1 +", "not an expression"),
        ("$'@size + os.system(1) + @size'", "not an expression"),
        ("$" + "(" * 3000 + ")" * 3000, "was not read"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_b(expression: str, words: str) -> None:
    level, reason = said(expression)
    assert level == Level.B, reason
    assert words in reason


@pytest.mark.parametrize(
    ("call", "level"),
    [
        ("open(@bundle_root + '/a.json')", Level.B),
        ("open('a.json', 'r')", Level.B),
        ("open('a.json', mode='rb')", Level.B),
        ("open('a.json', encoding='utf-8')", Level.B),
        ("open('a.json', 'w')", Level.C),
        ("open('a.json', 'r+')", Level.C),
        ("open('a.json', mode='ab')", Level.C),
        ("open('a.json', @device)", Level.C),
        ("open(*@size)", Level.C),
    ],
)
def test_opening_is_c_unless_it_is_to_read(call: str, level: Level) -> None:
    assert said(f"${call}").level == level


def test_no_member_on_the_list_does_harm_on_a_module() -> None:
    """A reference that gives a module is noticed; were it not, the members would still be safe."""
    harm = [
        (module, member)
        for module, member in product([*STANDARD - {"os"}, "torch", "numpy", "monai"], MEMBERS)
        if judge_name(f"{module}.{member}").level == Level.C
    ]
    assert harm == []


def test_the_first_name_of_an_import_counts_as_in_monai() -> None:
    assert import_in("$import os; os.system('x')") == ("os", "os", "os")
    assert import_in("$from torch import nn as n, hub")[0] == "n"  # type: ignore[index]
