# SPDX-License-Identifier: Apache-2.0
"""Labels and classes mean the same wherever a bundle names them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .findings import Findings


def check_labels(
    found: Findings, configs: Mapping[str, Path], parsed: Mapping[str, Mapping[str, Any]]
) -> None:
    """Compare label table, channels, regions, class names, texts and page with each other.

    Args:
        found: takes the findings.
        configs: name to file.
        parsed: name to content.
    """
    metadata, path = parsed["metadata"], configs["metadata"]
    output = metadata.get("network_data_format", {}).get("outputs", {}).get("pred", {})
    channels = output.get("channel_def") if isinstance(output, dict) else None
    if not isinstance(channels, dict) or not channels:
        return  # the schema has said so
    at = "network_data_format#outputs#pred"
    if [*channels] != [str(number) for number in range(len(channels))]:
        found.error(
            path, f"{at}#channel_def", f"its keys are {', '.join(channels)}.",
            "Number the channels of the output from 0.",
        )  # fmt: skip
    if output.get("num_channels") != len(channels):
        found.error(
            path, f"{at}#num_channels", f"it is {output.get('num_channels')}, and channel_def "
            f"names {len(channels)}.", "Make them agree.",
        )  # fmt: skip
    rows = metadata.get("label_table")
    if isinstance(rows, list):
        _check_table(found, path, metadata, rows, channels)
    names = list(channels.values())
    for name in ("inference", "train"):
        own = parsed.get(name, {}).get("class_names")
        if own is not None and own != names:
            found.error(
                configs[name], "class_names", f"they are {', '.join(own)}.",
                f"The metadata name {', '.join(names)}, in this order.",
            )  # fmt: skip
    values = {int(number) for number in channels if str(number).isdecimal()}
    regions = parsed.get("train", {}).get("regions", {})
    for region, labels in regions.items() if isinstance(regions, dict) else ():
        if not set(labels) <= values - {0}:
            found.error(
                configs["train"], f"regions#{region}", f"it names {labels}.",
                f"Labels are {', '.join(str(value) for value in sorted(values - {0}))}.",
            )  # fmt: skip
    _check_page(found, names)


def _check_table(
    found: Findings, path: Path, metadata: Mapping[str, Any], rows: list[Any],
    channels: Mapping[str, str],
) -> None:  # fmt: skip
    """The label table has the names of the channels, and what refers to labels finds them."""
    table = {str(row.get("value")): row.get("name") for row in rows if isinstance(row, dict)}
    for value, name in table.items():
        if channels.get(value) != name:
            found.error(
                path, "label_table", f"it calls label {value} {name!r}; channel_def has "
                f"{channels.get(value)!r}.", "Give a label one name.",
            )  # fmt: skip
    for value in [value for value in channels if value != "0" and value not in table]:
        found.error(
            path, "label_table", f"label {value} of channel_def is missing.", "Add a row for it."
        )
    organ = metadata.get("reference_organ") or {}
    for key, labels in (
        ("focus_labels", metadata.get("focus_labels") or []),
        ("reference_organ#labels", organ.get("labels", [])),
    ):
        strange = [label for label in labels if str(label) not in table]
        if strange:
            found.error(path, key, f"it names {strange}.", f"Labels are {', '.join(table)}.")


def _check_page(found: Findings, names: list[str]) -> None:
    """The bundle's page names every label, in whatever case."""
    page = found.folder / "docs" / "README.md"
    text = page.read_text(encoding="utf-8", errors="replace").lower() if page.is_file() else None
    missing = [name for name in names if text is not None and name.lower() not in text]
    if missing:
        found.note(page, "", f"it does not name {', '.join(missing)}.", "Say what the labels are.")
