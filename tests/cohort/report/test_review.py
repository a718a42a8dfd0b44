# SPDX-License-Identifier: Apache-2.0
"""Tables of verdicts: read as the page saves them, refused where they cannot be."""

from pathlib import Path

import pytest

from medvol.cohort.report.review import Verdict, read_review, write_verdicts
from medvol.errors import InputError

HEAD = "bundle,case,verdict,remark\n"
KEYS = ("b/a/x", "b/y")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    said = {"b/a/x": Verdict("correct", '=left, "edge"'), "b/y": Verdict("", "blurred")}
    write_verdicts(tmp_path / "v.csv", said)
    assert read_review(tmp_path / "v.csv", KEYS) == said
    assert "'=left" in (tmp_path / "v.csv").read_text()


def test_a_table_of_a_spreadsheet(tmp_path: Path) -> None:
    """With a mark of UTF-8 in front, columns in another order, and rows without a verdict."""
    text = "\ufeffcase,bundle,verdict,remark,seen\na/x,b, Accept ,,yes\ny,b,,,no\n"
    (tmp_path / "v.csv").write_text(text, encoding="utf-8")
    assert read_review(tmp_path / "v.csv", KEYS) == {"b/a/x": Verdict("accept", "")}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{HEAD}b,y,accept,\nb,z,accept,\n", "line 3: b/z is not in the plan"),
        (f"{HEAD}b,y,good,\n", "line 2: 'good' is none of accept, correct, reject"),
        ("case,verdict\ny,accept\n", "line 2: it has no column bundle, remark"),
        (f"{HEAD}b,y\n", "line 2: it has no column verdict, remark"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "review.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words) as refused:
        read_review(path, KEYS)
    assert refused.value.code == "E_FORMAT"


def test_what_is_not_text_and_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="E_FORMAT"):
        read_review(tmp_path / "v.csv", KEYS)
    with pytest.raises(InputError, match="E_PATH"):
        read_review(tmp_path / "none.csv", KEYS)
