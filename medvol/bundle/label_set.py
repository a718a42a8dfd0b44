# SPDX-License-Identifier: Apache-2.0
"""A set of labels or classes as a bundle's source names it, and everything that follows from it."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..files import read_json
from ..labels import LabelTable, default_color, name_key
from .find import find_part

FEWEST_CLASSES = 2
BACKGROUND = "background"  # name of value 0 where the labels give it none


def shared_labels(part: str) -> LabelTable:
    """The labels that bundles, and the data sets that they are trained on, share.

    Args:
        part: that holds them, such as "covid_lesions".

    Raises:
        InputError: E_BUNDLE, medvol was installed without its bundles, or there is no such part.
    """
    path = find_part(part)
    content = read_json(path, what="part of bundles", remedy="Install medvol again.")
    return LabelTable.from_metadata({"label_table": label_parameters(content["labels"])["table"]})


def label_parameters(labels: Mapping[str, Any]) -> dict[str, Any]:
    """What the configs of a bundle say of its labels or classes.

    Args:
        labels: either `{"classes": ["normal", "pneumonia"]}`, of images; or, of voxels,
            `{"label_table": [{"value": 1, "name": "lung"}, ...]}` and, where wanted,
            `focus_labels` and `focus_name` (what a reader looks for), `reference_organ`
            (`{"name": "lung", "labels": [1]}`, what shares in percent are of) and `background`.
            A row may have `color` and `terminology` as in metadata.json, and `of`: the values of
            the data's masks that become this label; names of the data then do not count, and rows
            without it are of their own value. `unlabelled` (`{"value": 4, "name": "lung or not"}`)
            is what a loss for partly labelled data knows beside the labels.

    Returns:
        Of classes `names`, `count`, `channels` and `text`. Of labels `table`, `label_names`,
        `values`, `count` (with background), `channels`, `text`, `focus`, `focus_name`, `focus_id`,
        `reference_organ` or None, `regions`, `ratios` and `data`, what they are in the data, as
        `medvol.data.items.load_items` takes it.

    Raises:
        ValueError: fewer than two classes, a name twice (see `labels.name_key`), values that are
            not 1, 2, 3 and so on, or a focus or organ of labels that are not there.

    >>> lung = label_parameters({"label_table": [{"value": 1, "name": "lung", "of": [1, 2, 3]}]})
    >>> lung["channels"], lung["regions"], lung["count"]
    ({'0': 'background', '1': 'lung'}, {'lung': [1]}, 2)
    """
    if "classes" in labels:
        return _named(labels["classes"])
    rows = [{"color": list(default_color(row["value"])), **row} for row in labels["label_table"]]
    rows.sort(key=lambda row: row["value"])
    values = [row["value"] for row in rows]
    if not values or values != [*range(1, len(values) + 1)]:
        raise ValueError(f"the label values are {values}; give 1, 2, 3 and so on, none left out")
    table = LabelTable.from_metadata({"label_table": rows})
    focus = labels.get("focus_labels", values)
    organ = labels.get("reference_organ")
    for name, named in (("focus_labels", focus), ("reference_organ", (organ or {}).get("labels"))):
        if not set(named or ()) <= set(values):
            raise ValueError(f"{name} names {named}; the labels are {values}")
    only = rows[0]["name"] if len(values) == 1 else "marked region"
    focus_name = labels.get("focus_name", only)
    return {
        **_named([labels.get("background", BACKGROUND), *(row["name"] for row in rows)]),
        "table": table.to_json(),
        "label_names": [row["name"] for row in rows],
        "values": values,
        "focus": focus,
        "focus_name": focus_name,
        "focus_id": "_".join(focus_name.lower().split()),
        "reference_organ": organ,
        "regions": _regions(rows, focus, focus_name, organ),
        "ratios": [1] * (len(rows) + 1),
        "data": _in_data(rows, labels.get("unlabelled")),
    }


def labels_named(names: Mapping[int, str], own: Mapping[str, Any]) -> dict[str, Any] | None:
    """A set of labels or classes for data that name other ones than a bundle.

    A label of the same name keeps its colour and its codes.

    Args:
        names: number in the data to name; 0 of label maps is background.
        own: set of the bundle, as for `label_parameters`.

    Returns:
        Of the kind of `own`, in the order of the data's numbers; None where the names are those of
        the bundle, or the data name none.

    Example:
        >>> lung = {"label_table": [{"value": 1, "name": "lung", "color": [1, 2, 3]}]}
        >>> labels_named({0: "background", 1: "Lung"}, lung)
        >>> labels_named({2: "heart", 4: "lung"}, lung)["label_table"][1]
        {'value': 2, 'name': 'lung', 'color': [1, 2, 3]}
    """
    if "classes" in own:
        given, known = [*names.values()], own["classes"]
        same = {*map(name_key, given)} == {*map(name_key, known)}
        return None if same or not given else {"classes": given}
    rows = {name_key(row["name"]): row for row in own["label_table"]}
    unlabelled = own.get("unlabelled", {}).get("name", BACKGROUND)
    left = {*map(name_key, (BACKGROUND, own.get("background", BACKGROUND), unlabelled))}
    given = [name for value, name in sorted(names.items()) if value and name_key(name) not in left]
    if not given or {*map(name_key, given)} == set(rows):
        return None
    kept = ("color", "terminology")
    table = []
    for value, name in enumerate(given, start=1):
        row = rows.get(name_key(name), {})
        table.append({"value": value, "name": name} | {k: row[k] for k in kept if k in row})
    return {"label_table": table}


def _named(names: Sequence[str]) -> dict[str, Any]:
    if len(names) < FEWEST_CLASSES or len({*map(name_key, names)}) < len(names):
        raise ValueError(f"the classes are {list(names)}; give two different names or more")
    return {
        "names": list(names),
        "count": len(names),
        "channels": {str(index): name for index, name in enumerate(names)},
        "text": ", ".join(f"{index} {name}" for index, name in enumerate(names)),
    }


def _regions(
    rows: Sequence[Mapping[str, Any]], focus: list[int], focus_name: str, organ: Any
) -> dict[str, list[int]]:
    """What figures are given of: the focus, its labels, the organ, other labels; each once."""
    single = [(row["name"], [row["value"]]) for row in rows]
    of_focus = [(name, values) for name, values in single if values[0] in focus]
    whole = [(organ["name"], list(organ["labels"]))] if organ else []
    regions: dict[str, list[int]] = {}
    for name, values in [(focus_name, list(focus)), *of_focus, *whole, *single]:
        if values not in regions.values() and name not in regions:
            regions[name] = values
    return regions


def _in_data(rows: Sequence[Mapping[str, Any]], unlabelled: Any) -> dict[str, str | int]:
    """Value to name of these labels in the data; value to number where a row says `of` what."""
    if any("of" in row for row in rows):
        return {str(x): row["value"] for row in rows for x in row.get("of", [row["value"]])}
    return {
        str(row["value"]): row["name"] for row in [*rows, *([unlabelled] if unlabelled else [])]
    }
