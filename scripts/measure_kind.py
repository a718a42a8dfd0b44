# SPDX-License-Identifier: Apache-2.0
"""Measure how many pictures of another kind a classifier of radiographs notices, and of its own.

    python scripts/measure_kind.py chest_xray_covid covid/datalist.json \
      --lateral cohen/metadata.csv cohen --other wallpapers "wallpapers/**/*.png"

Its own are the test part of the datalist, which `models/likeness.npz` never saw, as they are and
turned. Others come from files: pictures are made grey, of volumes (`.nii.gz`, CT) nine axial slices
are taken in a lung window. A picture that is refused while it is read counts as noticed.
"""

import argparse
import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Picture
from torch import Tensor

from medvol.bundle.spec import read_spec
from medvol.data.datalist import Datalist
from medvol.engine.pipeline import IMAGE
from medvol.errors import InputError
from medvol.files import read_csv
from medvol.images import read_image
from medvol.metrics.likeness import TURNS, Likeness
from medvol.tasks.cases import AS_IT_IS, Source
from medvol.tasks.task import Bundle, load_bundle
from medvol.text import aligned
from medvol.transforms.intensity import LUNG_WINDOW_HU

SLICES = np.linspace(0.1, 0.9, 9)  # of a volume, as shares of its height
LONGEST = 1200  # pixels of a side of a photograph, which would only take longer to read


def main() -> None:
    """Print a row a kind: how many pictures, how many noticed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("bundle", help="name or folder of a classifier of radiographs")
    parser.add_argument("datalist", type=Path, help="with a test part")
    parser.add_argument("--lateral", nargs=2, type=Path, metavar=("TABLE", "FOLDER"),
                        help="metadata.csv with the columns path and frontal")  # fmt: skip
    parser.add_argument("--other", nargs=2, action="append", default=[], metavar=("NAME", "FILES"))
    args = parser.parse_args()
    bundle = load_bundle(read_spec(args.bundle), device="cpu")
    likeness = bundle.pipeline.likeness
    if likeness is None:
        parser.error(f"{args.bundle} has no models/likeness.npz")
    items = Datalist.read(args.datalist).items("test")
    own = [*prepared(bundle, (Path(item["image"]) for item in items))]
    kinds = {"test part": own}
    for name, turn in TURNS.items():
        kinds[f"test part, {name}"] = [None if x is None else turn(x) for x in own]
    if args.lateral:
        table, folder = args.lateral
        paths = [folder / row["path"] for row in read_csv(table) if row["frontal"] == "0"]
        kinds["lateral views"] = [*prepared(bundle, paths)]
    for name, pattern in args.other:
        found = sorted(glob.glob(pattern, recursive=True))
        kinds[name] = [*prepared(bundle, (x for path in found for x in pictures(Path(path))))]
    rows = [(name, *counted(likeness, kind)) for name, kind in kinds.items()]
    print(aligned([("pictures", "number", "noticed", "%"), *rows], right={1, 2, 3}))


def pictures(path: Path) -> Iterator[Source]:
    """A file as grey pictures: of a CT nine slices, else the picture itself."""
    if not path.name.endswith(".nii.gz"):
        grey = Picture.open(path).convert("L")
        grey.thumbnail((LONGEST, LONGEST))
        yield np.asarray(grey), None
        return
    volume = read_image(path).array
    low, high = LUNG_WINDOW_HU
    for share in SLICES:
        window = ((volume[:, :, int(share * volume.shape[2])] - low) / (high - low)).clip(0, 1)
        yield (255 * window.T).astype(np.uint8), None


def prepared(bundle: Bundle, sources: Iterable[Source]) -> Iterator[Tensor | None]:
    """Pictures as the bundle's network gets them; None for one that is refused."""
    for source in sources:
        try:
            image = bundle.task.read(source, AS_IT_IS)
            yield torch.as_tensor(bundle.pipeline.prepare(image).data[IMAGE])
        except InputError:
            yield None


def counted(likeness: Likeness, kind: list[Tensor | None]) -> tuple[str, str, str]:
    """Pictures, those that are noticed, and their share in percent."""
    noticed = sum(x is None or bool(likeness.said_of(x)) for x in kind)
    return str(len(kind)), str(noticed), f"{100 * noticed / max(1, len(kind)):.1f}"


if __name__ == "__main__":
    main()
