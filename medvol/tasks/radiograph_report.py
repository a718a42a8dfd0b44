# SPDX-License-Identifier: Apache-2.0
"""The files of one classified radiograph: the picture with its map, and the page around it."""

from pathlib import Path

from .. import __version__
from ..files import filling, sha256_of
from ..images import read_image
from ..images.describe import IDENTIFYING_FACTS
from ..images.image import Image
from ..report.html import ReportContext, write_report
from ..report.radiographs import Caption, draw_attention
from .attention import METHODS, AttentionMaps
from .classifier import ImageClassifier, Prediction

PICTURE, PAGE = "overlay.png", "report.html"
SCALES = {"grad-cam": "weight, of the highest", "occlusion": "fall of the probability"}
READINGS = {
    "grad-cam": "The colours are by Grad-CAM: coarse, in steps of the network's last feature maps, "
    "and relative, so that the strongest place is always 1, however little it weighs.",
    "occlusion": "The colours are by occlusion: how much the probability falls when a patch around "
    "the place is hidden behind the mean grey.",
}
LIMITS = "A map says what the network rests on, not where a disease is, nor that it is right."


class RadiographReports:
    """Writes a page for each prediction of a classifier.

    Args:
        classifier: that made the predictions.
        method: of the maps, see `AttentionMaps`.

    Raises:
        ValueError, InputError: as for `AttentionMaps`.
    """

    def __init__(self, classifier: ImageClassifier, *, method: str = "grad-cam") -> None:
        self.classifier = classifier
        self.maps = AttentionMaps(classifier, method=method)

    def save(self, prediction: Prediction, folder: Path, *, name: str = "") -> None:
        """Write `overlay.png` and `report.html`, both or none.

        Args:
            prediction: of a radiograph whose file is still there.
            folder: made when it is not there.
            name: of the case; empty takes that of its file.

        Raises:
            InputError: the image cannot be read again, or something cannot be written.
        """
        radiograph = read_image(prediction.path, "radiograph")
        heat = self.maps(prediction.path, prediction.index)
        case, method = name or prediction.path.stem, self.maps.method
        caption = Caption(
            title=f"{case}: {prediction.name} {prediction.probability.max():.2f}",
            subtitle=f"What speaks for {prediction.name}, by {METHODS[method]}",
            scale=SCALES[method],
            nothing=f"Nothing in the picture speaks for {prediction.name}.",
        )
        with filling(folder) as scratch:
            draw_attention(scratch / PICTURE, radiograph.array, heat, caption=caption)
            page = self._page(prediction, radiograph, scratch / PICTURE, case)
            write_report(scratch / PAGE, page)

    def _page(
        self, prediction: Prediction, radiograph: Image, picture: Path, case: str
    ) -> ReportContext:
        bundle, (rows, columns) = self.classifier.bundle, radiograph.array.shape
        facts = {k: str(v) for k, v in radiograph.facts.items() if k not in IDENTIFYING_FACTS}
        return ReportContext(
            case=case,
            answer=prediction.name,
            probability=dict(zip(prediction.names, prediction.probability.tolist(), strict=True)),
            picture=picture,
            reading=f"{READINGS[self.maps.method]} {LIMITS}",
            notes=prediction.notes,
            facts={
                "File": prediction.path.name,
                "Rows × columns": f"{rows} × {columns}",
                **{key.replace("_", " ").capitalize(): text for key, text in facts.items()},
                "SHA-256": sha256_of(prediction.path),
            },
            bundle={
                "Bundle": bundle.name,
                "Version": bundle.version,
                "Weights SHA-256": bundle.weights_sha256,
                "medvol": __version__,
            },
            settings={
                "Device": str(self.classifier.device),
                "Precision": self.classifier.precision,
                "Map": METHODS[self.maps.method],
            },
            intended_use=str(bundle.metadata.get("intended_use", "")),
        )
