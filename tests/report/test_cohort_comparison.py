# SPDX-License-Identifier: Apache-2.0
"""The page of two runs as it is written."""

from medvol.report.cohort_comparison import ComparisonPage, render_comparison
from medvol.report.sheet import Column, Root, Sheet


def test_parts_that_say_nothing_are_left_out_and_texts_are_escaped() -> None:
    sheet = Sheet([Column("case", ["</script>"])], ["b/a"], [Root("../", "", "", "", [True])])
    nothing: dict[str, list[str]] = {"before": [], "now": []}
    page = render_comparison(
        ComparisonPage("1 case", {"changed": 0}, {}, {}, nothing, {"before": 0, "now": 0}, sheet)
    )
    assert "Made by" not in page
    assert "Only before" not in page
    assert page.count("</script>") == 2  # the data, and the script
    full = ComparisonPage(
        "1 case", {"changed": 1}, {"device": ("cpu", "<cuda>")}, {"lung_ml": "1 cases"},
        {"before": ["<a>"], "now": []}, {"before": 7, "now": 0}, sheet,
    )  # fmt: skip
    page = render_comparison(full)
    assert "<td>cpu</td><td>&lt;cuda&gt;</td>" in page
    assert "<li>&lt;a&gt;</li>" in page
    assert "And 7 more, in comparison.csv." in page
    assert 'href="#sort=change of lung_ml"' in page
