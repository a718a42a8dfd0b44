# SPDX-License-Identifier: Apache-2.0
"""What a bundle reports of its making and measuring, item by item of CLAIM 2024.

CLAIM is the Checklist for Artificial Intelligence in Medical Imaging, 2024 update (Tejani et al.,
Radiology: Artificial Intelligence 6(4), doi 10.1148/ryai.240300); the names of its items here are
short forms of our own. A bundle's answers stand in `docs/claim.json`. Their texts take figures and
facts from the metadata, `{eval_metrics}` or `{references#0}`, so that they cannot contradict them.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InputError
from ..strictly import read_strictly

CHECKLIST = "CLAIM 2024, doi 10.1148/ryai.240300"
CLAIM = "docs/claim.json"  # below the bundle's root
REPORTED, IN_PART, UNKNOWN, NOT_APPLICABLE = STATES = (
    "reported", "in part", "unknown", "not applicable",
)  # fmt: skip
SECTIONS = {  # first item to the name of its section
    1: "Title and abstract", 3: "Introduction", 5: "Study design", 7: "Data",
    14: "Reference standard", 19: "Partitions", 21: "Test data", 22: "Model", 25: "Training",
    28: "Evaluation", 35: "Results: data", 37: "Results: performance", 40: "Discussion",
    42: "Other information",
}  # fmt: skip
ITEMS = (
    "Artificial intelligence is named, and of which kind",
    "Summary of design, methods, results and conclusions",
    "Background, intended use and role",
    "Aims and hypotheses",
    "Prospective or retrospective",
    "Goal of the study",
    "Sources of the data",
    "Criteria of inclusion and exclusion",
    "Preprocessing",
    "Selection of subsets",
    "De-identification",
    "Handling of missing data",
    "Acquisition of the images",
    "Definition of the reference standard",
    "Reasons for this reference standard",
    "Who made the annotations",
    "Annotation of the test set",
    "Variation within and between annotators",
    "How cases were assigned to partitions",
    "Level at which partitions are disjoint",
    "Intended sample size",
    "Description of the model",
    "Software, with versions",
    "Initial values of the parameters",
    "Description of the training",
    "Choice of the final model",
    "Ensembles",
    "Measures of performance",
    "Uncertainty and significance",
    "Robustness and sensitivity",
    "Explanations and interpretation",
    "Evaluation on internal data",
    "Testing on external data",
    "Registration of a clinical trial",
    "Numbers of patients included and excluded",
    "Patients' characteristics in each partition",
    "Performance and its uncertainty",
    "Diagnostic performance and its precision",
    "Analysis of failures",
    "Limitations",
    "Implications for practice",
    "Full protocol or further technical details",
    "Availability of software, model and data",
    "Funding",
)
_FACT = re.compile(r"\{([^{}]+)\}")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


class ClaimItem(NamedTuple):
    """A bundle's answer to one item.

    Args:
        number: of the item, 1 to 44.
        name: of the item.
        section: that it stands in.
        state: one of `STATES`; "unknown" also of what is not said.
        text: what is reported, or why nothing is.
        where: file of the bundle and, behind a comma, the heading in it; "" for nowhere.
    """

    number: int
    name: str
    section: str
    state: str
    text: str
    where: str


def read_claim(folder: Path, metadata: Mapping[str, Any]) -> tuple[ClaimItem, ...]:
    """The answers of a bundle, in the order of the items; none where it has no such file.

    Args:
        folder: the bundle's root.
        metadata: content of its metadata.json.

    Raises:
        InputError: E_BUNDLE, the file is not as the module's first lines say.
    """
    path = folder / CLAIM
    if not path.is_file():
        return ()
    try:
        stored: Any = read_strictly(path.read_bytes(), suffix=path.suffix)
        faults = claim_faults(folder, metadata, stored)
    except (OSError, ValueError) as error:
        faults = [f"it cannot be read as JSON: {error}"]
    if faults:
        raise InputError("E_BUNDLE", path, f"{faults[0]}.", "Write it as the shipped bundles do.")
    found, section = [], ""
    for number, name in enumerate(ITEMS, start=1):
        section = SECTIONS.get(number, section)
        row = stored["items"][str(number)]
        text = _FACT.sub(lambda fact: _fact(metadata, fact[1]), row["text"])
        found.append(ClaimItem(number, name, section, row["state"], text, row.get("where", "")))
    return tuple(found)


def claim_faults(folder: Path, metadata: Mapping[str, Any], stored: Any) -> list[str]:
    """What is wrong with a bundle's answers, a line each without a full stop.

    Args:
        folder: the bundle's root.
        metadata: content of its metadata.json.
        stored: content of its file.
    """
    items = stored.get("items") if isinstance(stored, dict) else None
    if not isinstance(items, dict):
        return ["it has no `items`"]
    expected = [str(number) for number in range(1, len(ITEMS) + 1)]
    faults = [f"item {number} is missing" for number in expected if number not in items]
    faults += [f"there is no item {number}" for number in items if number not in expected]
    for number in filter(items.get, expected):
        found = _faults_of(folder, metadata, items[number])
        faults += (f"item {number} {fault}" for fault in found)
    return faults


def blank_claim() -> dict[str, Any]:
    """The content of a file in which nothing is answered yet."""
    row = {"state": UNKNOWN, "text": "Not filled in yet."}
    return {
        "checklist": CHECKLIST,
        "items": {str(number): dict(row) for number in range(1, len(ITEMS) + 1)},
    }


def counts(items: Sequence[ClaimItem]) -> str:
    """How many items are in each state, such as "30 of 44 items reported, 9 in part, 5 unknown"."""
    number = Counter(item.state for item in items)
    rest = [f", {number[state]} {state}" for state in STATES[1:] if number[state]]
    return f"{number[REPORTED]} of {len(items)} items {REPORTED}{''.join(rest)}"


def _faults_of(folder: Path, metadata: Mapping[str, Any], row: Any) -> list[str]:
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        return ["has no `text`"]
    faults = [] if row["text"].strip() else ["says nothing; say why"]
    if row.get("state") not in STATES:
        faults.append(f"has the state {row.get('state')!r}, which is none of {', '.join(STATES)}")
    for fact in _FACT.findall(row["text"]):
        try:
            _fact(metadata, fact)
        except (KeyError, IndexError, ValueError, TypeError):
            faults.append(f"names {{{fact}}}, which the metadata lack")
    file, _, heading = str(row.get("where", "")).partition(", ")
    path = folder / file
    if not path.resolve().is_relative_to(folder.resolve()) or not path.exists():
        faults.append(f"points to {file}, which is not there")
    elif heading and not _has_heading(path, heading):
        faults.append(f"points to {heading!r}, which is no heading of {file}")
    return faults


def _has_heading(path: Path, start: str) -> bool:
    """Whether a page of Markdown has a heading that begins so."""
    if path.suffix != ".md":
        return False
    text = path.read_text(encoding="utf-8", errors="replace")
    return any(heading.startswith(start) for heading in _HEADING.findall(text))


def _fact(metadata: Mapping[str, Any], key: str) -> str:
    """A value of the metadata in words.

    Args:
        metadata: of the bundle.
        key: its path, such as "human_reference#0#value".

    Raises:
        KeyError, IndexError, ValueError, TypeError: there is no such value.

    Example:
        >>> _fact({"eval_metrics": {"AUC": 0.9, "recall": 0.8}}, "eval_metrics")
        'AUC 0.9; recall 0.8'
    """
    found: Any = metadata
    for word in key.split("#"):
        found = found[int(word)] if isinstance(found, list) else found[word]
    if isinstance(found, dict):
        return "; ".join(f"{name} {value}" for name, value in found.items())
    return "; ".join(map(str, found)) if isinstance(found, list) else str(found)
