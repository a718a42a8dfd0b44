# SPDX-License-Identifier: Apache-2.0
"""The report page: whole, self-contained, escaped, with every number in it."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from medvol.errors import InputError
from medvol.labels import Label, LabelTable
from medvol.metrics.lung_regions import Region
from medvol.metrics.measurements import Histogram, Measurement, Reference
from medvol.report.html import ReportContext, plot, render_report, write_report
from medvol.text import NOTICE

TABLE = LabelTable(
    (
        Label(1, "ground-glass", (255, 170, 60)),
        Label(2, "consolidation", (214, 60, 90)),
        Label(3, "磨玻璃 & <b>rest</b>", (90, 170, 230)),
    )
)
ROWS = [
    Measurement(1, "ground-glass", 64838, 727.172, -569.51, 12.3688),
    Measurement(2, "consolidation", 0, 0.0, None, 0.0),
    Measurement(3, "磨玻璃 & <b>rest</b>", 438107, 4913.47, -848.1, 87.6312),
]
LUNG, LESION = Reference("lung", (1, 2, 3)), Reference("lesion", (1, 2))
HISTOGRAM = Histogram(
    np.array([-1000.0, -800.0, -600.0, -400.0]),
    {1: np.array([0, 1, 3]), 2: np.zeros(3, np.int64), 3: np.array([10, 0, 0])},
)
FULL = ReportContext(
    case="rp1 <script>alert(1)</script>",
    measurements=ROWS,
    table=TABLE,
    reference=LUNG,
    focus=LESION,
    picture=b"\x89PNG not really",
    histogram=HISTOGRAM,
    facts={"file": "ct 1.nii.gz", "spacing": "1.367 × 1.367 × 6 mm"},
    notes=["N_ANISO very thick slices."],
    bundle={"name": "covid_ct_lesion_3d", "version": "0.1.0", "weights sha256": "5f70bf18"},
    settings={"device": "cpu", "precision": "fp32"},
    times_s={"read": 0.31, "network": 6.5},
    files={"scene.mrb": "CT and segments", "odd name #1.csv": "numbers"},
)


class Page(HTMLParser):
    """Tags with attributes, and the text of the page without style."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.parts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "line"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.parts).split())


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render_report(FULL))


def test_page_is_well_formed(page: Page) -> None:
    assert page.open == []
    tags = [tag for tag, _ in page.tags]
    assert [tags.count(tag) for tag in ("html", "title", "h1", "main", "table", "svg")] == [
        1,
        2 + 1,
        1,
        1,
        1,
        1,
    ]
    assert ("html", {"lang": "en"}) in page.tags


def test_page_loads_nothing(page: Page) -> None:
    links = {
        value for _, attrs in page.tags for name, value in attrs.items() if name in {"src", "href"}
    }
    assert links == {
        "data:image/png;base64,iVBORyBub3QgcmVhbGx5",
        "./scene.mrb",
        "./odd%20name%20%231.csv",
    }
    html = render_report(FULL)
    for outside in ("http:", "https:", "//", "url(", "@import", "<link", "<script"):
        assert outside not in html


def test_texts_are_escaped(page: Page) -> None:
    assert "rp1 <script>alert(1)</script>" in page.text
    assert "磨玻璃 & <b>rest</b>" in page.text
    assert {tag for tag, _ in page.tags} >= {"h1", "b"}
    assert [tag for tag, _ in page.tags].count("b") == 1  # the one of the sentence on scene.mrb


@pytest.mark.parametrize(
    "words",
    [
        "Research use only. Not a medical device.",
        "727.2 ml lesion",
        "12.4 % of the lung",
        "5,641 ml lung",
        "ground-glass 1 64,838 727.2 −570 12.4",
        "consolidation 2 0 0.00 – 0.0",
        "438,107 4,913 −848 87.6",
        "N_ANISO very thick slices.",
        "spacing 1.367 × 1.367 × 6 mm",
        "covid_ct_lesion_3d",
        "weights sha256 5f70bf18",
        "precision fp32",
        "network 6.50 s together 6.81 s",
        "start 3D Slicer, drag scene.mrb onto its window",
    ],
)
def test_page_says(page: Page, words: str) -> None:
    assert words in page.text


def test_picture_and_drawing_have_words_for_those_who_do_not_see_them(page: Page) -> None:
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
    assert all(attrs.get("aria-label") for tag, attrs in page.tags if tag == "svg")


def test_bars_of_shares_are_as_long_as_the_shares(page: Page) -> None:
    bars = [attrs["style"] for tag, attrs in page.tags if tag == "i"]
    assert bars == [
        "width: 12.4%; background: rgb(255 170 60)",
        "width: 87.6%; background: rgb(90 170 230)",
    ]


def test_smallest_page() -> None:
    rows = [Measurement(1, "ground-glass", 0, 0.0, None, None)]
    small = Page(
        render_report(
            ReportContext("a", measurements=rows, table=TABLE, focus=Reference("lesion", (1,)))
        )
    )
    assert small.open == []
    assert "No lesion marked" in small.text
    focus = Reference("lesion", (1,))
    context = ReportContext(
        "a", answer="no lesion found", measurements=rows, table=TABLE, focus=focus
    )
    text = Page(render_report(context)).text
    assert "No lesion found" in text
    assert "No lesion marked" not in text  # it is said once
    assert "Histogram" not in small.text
    assert not [tag for tag, _ in small.tags if tag in {"img", "svg", "figure", "a"}]


def test_written_page_reads_a_picture_file_and_keeps_odd_names(tmp_path) -> None:
    (tmp_path / "p.png").write_bytes(b"\x89PNG not really")
    path = tmp_path / "report.html"
    write_report(path, ReportContext("bad \udcff", picture=tmp_path / "p.png"))
    html = path.read_text(encoding="utf-8")
    assert "bad \\udcff" in html
    assert "base64,iVBORyBub3QgcmVhbGx5" in html
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.png", "report.html"]


def test_histogram_curves_worked_by_hand() -> None:
    chart = plot(HISTOGRAM, ROWS)
    assert chart is not None
    assert [curve.value for curve in chart.curves] == [1, 3]  # 2 has no voxels
    # 900 x 250 units for 600 HU x 100 %: bins of 300 units, 75 % is 62.5 from the top
    assert chart.curves[0].points == (
        "0.0,250.0 0.0,250.0 300.0,250.0 300.0,187.5 600.0,187.5 600.0,62.5 900.0,62.5 900.0,250.0"
    )
    assert [tick.text for tick in chart.hu_ticks] == ["−1000", "−800", "−600", "−400"]
    assert [tick.at for tick in chart.hu_ticks] == [0, 300, 600, 900]
    assert [tick.text for tick in chart.percent_ticks] == [
        "0 %",
        "20 %",
        "40 %",
        "60 %",
        "80 %",
        "100 %",
    ]


def test_histogram_without_voxels_is_left_out() -> None:
    empty = Histogram(np.array([0.0, 1.0]), {1: np.zeros(1, np.int64)})
    assert plot(empty, ROWS) is None
    assert "Histogram" not in render_report(
        ReportContext("a", measurements=ROWS, table=TABLE, histogram=empty)
    )


CLASSES = ReportContext(
    case="a/chest <1>",
    answer="pneumonia",
    probability={"normal": 0.125, "pneumonia": 0.875},
    picture=b"\x89PNG",
    reading="The colours are by Grad-CAM.",
    notes=["N_EXIF it was turned upright as its file asks."],
    facts={"File": "chest <1>.png", "Rows × columns": "90 × 60"},
    bundle={"Bundle": "chest_xray_pneumonia", "Weights SHA-256": "0123abcd"},
    settings={"Device": "cpu"},
    intended_use="Frontal chest radiographs of children.",
)


def test_page_of_classes() -> None:
    html = render_report(CLASSES)
    assert "<strong>Pneumonia</strong>" in html
    assert "probability <strong>0.88</strong>" in html
    assert html.count(NOTICE) == 2
    for words in ("a/chest &lt;1&gt;", "chest &lt;1&gt;.png", "90 × 60", "0123abcd", "cpu",
                  "N_EXIF it was turned", "by Grad-CAM", "radiographs of children",
                  "data:image/png;base64,iVBORw==", "how sure it is"):  # fmt: skip
        assert words in html, words
    assert "<1>" not in html
    assert "Measurements" not in html
    assert Page(html).open == []
    assert not re.search(r"https?://|<script|<link", html)


def test_bars_are_as_long_as_the_probabilities() -> None:
    html = render_report(CLASSES)
    rows = re.findall(r'<th scope="row">(\w+)</th>.*?>([\d.]+)</td>.*?width: ([\d.]+)%', html, re.S)
    assert rows == [("normal", "0.1250", "12.5"), ("pneumonia", "0.8750", "87.5")]


def test_parts_that_are_empty_are_left_out() -> None:
    html = render_report(ReportContext("x", answer="a", probability={"a": 1.0, "b": 0.0}))
    assert re.findall("<h2>(.*?)</h2>", html) == ["Probabilities"]
    assert "<img" not in html


def test_of_a_part_nothing_is_said_of_the_rest() -> None:
    short = "N_COVERAGE 12 slices, 24 mm: the lungs are not covered."
    part = replace(FULL, part_shown=True, warnings=[short])
    words = Page(render_report(part)).text
    assert words.index(short) < words.index("marked in the part shown")
    assert "lesion marked in the part shown" in words
    assert "% of the lung shown" in words
    nothing = replace(part, measurements=[replace(row, voxels=0, volume_ml=0.0) for row in ROWS])
    words = Page(render_report(nothing)).text
    assert "Nothing marked in the part shown" in words
    assert "No lesion" not in words
    words = Page(render_report(replace(nothing, part_shown=False))).text
    assert "No lesion marked" in words


def test_a_page_that_cannot_be_written_is_refused(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as caught:
        write_report(tmp_path / "file" / "report.html", CLASSES)
    assert caught.value.code == "E_NOSPACE"


def test_thirds_are_drawn_as_a_reader_sees_them() -> None:
    thirds = ("upper", "middle", "lower")
    marked = {("right", "upper"): 4, ("left", "lower"): 100}  # percent
    regions = [
        Region(side, third, 100, marked.get((side, third), 0), 1.0)
        for side in ("right", "left")
        for third in ("", *thirds)
    ]
    html = render_report(replace(FULL, regions=regions))
    drawn = re.findall(r'--share: ([\d.]+)"><b>([\d.]+) %</b><small>(\w+)', html)
    assert [row[2] for row in drawn] == 2 * [*thirds]  # the patient's right comes first
    shades = [float(row[0]) for row in drawn]
    assert shades == [20, 0, 0, 0, 0, 100]  # 10 times the root: 4 % is seen too
    assert html.index('<section class="right">') < html.index('<section class="left">')
    whole = [row for row in regions if not row.third]
    alone = render_report(replace(FULL, regions=whole))
    assert 'class="zones"' not in alone
    assert ">Score<" not in alone
