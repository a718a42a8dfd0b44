# SPDX-License-Identifier: Apache-2.0
"""Names of files that every system can hold, and paths that stay inside a folder."""

_DEVICES = {  # of Windows, whatever their suffix
    "con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)),
}  # fmt: skip


def is_device(name: str) -> bool:
    """Whether Windows takes a name for a device, so that no file there can have it.

    Args:
        name: one part of a path.

    Example:
        >>> [is_device(name) for name in ("AUX", "con.txt", "lpt9 .a.b", "com0", "contrast")]
        [True, True, True, False, False]
    """
    return name.partition(".")[0].rstrip().casefold() in _DEVICES


def is_inside(path: str) -> bool:
    """Whether a path with `/` names a file below a root, in one way on every system.

    Example:
        >>> [is_inside(p) for p in ("a/b.json", "/a", "../a", "a//b", "a\\\\b", "C:a", "a/")]
        [True, False, False, False, False, False, False]
    """
    parts = path.split("/")
    plain = all(char.isprintable() and char not in '\\\\:*?"<>|' for char in path)
    ends = all(part == part.strip() and not part.endswith(".") for part in parts)
    return plain and ends and "" not in parts and ".." not in parts and "." not in parts
