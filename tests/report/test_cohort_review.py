# SPDX-License-Identifier: Apache-2.0
"""The page of a review as it is written; what it does in a browser is in test_cohort.py."""

from medvol.report.cohort_review import ReviewLine, render_review

LINE = ReviewLine("b", 'a"<i>', "a", ("by chance", "largest"), "", "../b/a/overlay.png",
                  "lesion 3 ml", ("N_GRID wide.",), "reject", '"moved"')  # fmt: skip


def test_verdicts_of_before_are_in_the_form_and_texts_are_escaped() -> None:
    page = render_review(
        [LINE, LINE._replace(verdict="")], title="2 cases", how="By chance.",
        verdicts={"accept": "right", "reject": "wrong"}, mark="abc",
    )  # fmt: skip
    assert page.count(" checked") == 1
    assert 'name="verdict-1" value="reject" checked' in page
    assert 'name="verdict-2"' in page
    assert 'data-case="a&#34;&lt;i&gt;"' in page
    assert 'value="&#34;moved&#34;"' in page
    assert 'data-mark="abc"' in page
    assert "by chance, largest" in page
    assert "<i>" not in page
