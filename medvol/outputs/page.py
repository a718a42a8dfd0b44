# SPDX-License-Identifier: Apache-2.0
"""`report.html`: one page with what was found in an image, and how."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..answer import Answer
from ..codes import TRUST
from ..engine.attention import METHODS
from ..metrics.classes.decision import Decision
from ..metrics.measurements import Histogram, Reference, hu_histogram
from ..report.html import ReportContext, write_report
from ..spatial import orientation, spacing_mm
from ..text import minus
from .record import image_sha256

if TYPE_CHECKING:
    from .save import Saving

READINGS = {
    "grad-cam": "The colours are by Grad-CAM: coarse, in steps of the network's last feature maps, "
    "and relative, so that the strongest place is always 1, however little it weighs.",
    "occlusion": "The colours are by occlusion: how much the probability falls when a patch around "
    "the place is hidden behind the mean grey.",
}
LIMITS = "A map says what the network rests on, not where a disease is, nor that it is right."


def write(path: Path, saving: "Saving") -> None:
    """Write the page, whole or not at all.

    Raises:
        InputError: E_NOSPACE, it cannot be written.
    """
    write_report(path, context_of(saving))


def context_of(saving: "Saving") -> ReportContext:
    """What the page says of an answer; what the task does not give is left empty."""
    answer, spec, run = saving.answer, saving.answer.spec, saving.answer.run
    classes, mask = answer.classes, answer.mask
    method = classes.attention.method if classes and classes.attention else ""
    return ReportContext(
        case=answer.case,
        answer=answer.finding,
        part_shown=answer.part_shown,
        warnings=[str(note) for note in answer.notes if note.code in TRUST],
        notes=[str(x) for x in answer.notes if x.code not in TRUST] + list(run.remarks),
        difference=answer.difference,
        errors=saving.picture("errors"),
        picture=saving.picture("png") or saving.picture("attention"),
        preview=saving.picture("preview"),
        reading=f"{READINGS[method]} {LIMITS}" if method else "",
        slices=str(answer.slices) if answer.slices is not None else "",
        profile=saving.picture("profile"),
        probability=(
            dict(zip(classes.names, classes.probability.tolist(), strict=True)) if classes else {}
        ),
        measurements=answer.measurements,
        regions=answer.burden.regions if answer.burden else (),
        ct_score=answer.ct_score,
        lesions=answer.burden.lesions if answer.burden else None,
        table=spec.labels,
        reference=answer.reference,
        focus=Reference(spec.focus_name, spec.focus) if mask is not None else None,
        values=spec.values,
        histogram=_histogram(answer),
        facts=_facts(answer),
        bundle={
            "Bundle": spec.name,
            "Version": spec.version,
            **_source(answer),
            "medvol": __version__,
        },
        settings={
            **({} if answer.given else {"Device": run.device, "Precision": run.precision}),
            **{_words(key): _text(value) for key, value in run.settings.items()},
            **({"Map": METHODS[method]} if method else {}),
            **_decision(answer),
            **_window(saving),
        },
        times_s=run.times_s,
        intended_use=spec.intended_use,
        files={o.file: o.holds for o in saving.outputs if o.name != "html"},
    )


def value_range(low: float, high: float, values: str) -> str:
    """A range in words, from `low` to `high` in the unit of `values`, "HU" or "intensity".

    Example:
        >>> value_range(-1350, 150, "HU"), value_range(0, 180, "intensity")
        ('−1350 to 150 HU', '0 to 180')
    """
    return minus(f"{low:.0f} to {high:.0f}") + (f" {values}" if values == "HU" else "")


def _source(answer: Answer) -> dict[str, str]:
    """Where the mask or the classes come from."""
    if answer.given is not None:
        return {"Mask, by hand": answer.given.file, "Mask SHA-256": answer.given.sha256}
    return {"Weights SHA-256": answer.spec.weights_sha256}


def _histogram(answer: Answer) -> Histogram | None:
    """HU of the labels, of the organ's only where there is one; None of an image without HU."""
    spec = answer.spec
    if answer.mask is None or spec.values != "HU":
        return None
    organ = answer.reference
    values = organ.values if organ else [label.value for label in spec.labels]
    return hu_histogram(answer.mask, answer.image.array, values)


def _facts(answer: Answer) -> dict[str, str]:
    """What the image is: grid and values of a volume; file and technical facts of a radiograph."""
    image, values = answer.image, answer.spec.values
    shape = " × ".join(map(str, image.array.shape))
    if image.array.ndim == 3:
        return {
            "Format": str(image.facts.get("format", "unknown")),
            "Shape": shape,
            "Spacing": " × ".join(f"{s:.3g}" for s in spacing_mm(image.affine)) + " mm",
            "Orientation": orientation(image.affine),
            "Values": value_range(image.array.min(), image.array.max(), values),
        }
    return {
        "File": image.path.name,
        "Rows × columns": shape,
        **{_words(key): str(fact) for key, fact in image.public_facts.items()},
        "SHA-256": image_sha256(image),
    }


def _decision(answer: Answer) -> dict[str, str]:
    """How the class was chosen, of a bundle that has its own rule."""
    decision = answer.spec.decision
    if answer.classes is None or decision == Decision():
        return {}
    words = decision.in_words(answer.spec.classes)
    return {"Answer": words, "Temperature": f"{decision.temperature:.2f}"}


def _window(saving: "Saving") -> dict[str, str]:
    """In which range a volume is shown."""
    if saving.answer.image.array.ndim != 3:
        return {}
    return {"Shown window": value_range(*saving.window, saving.answer.spec.values)}


def _words(key: str) -> str:
    return key.replace("_", " ").capitalize()


def _text(value: Any) -> str:
    return " × ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
