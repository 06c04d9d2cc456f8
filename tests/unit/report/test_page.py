"""The page holds every number and picture, loads nothing, and says what must not be believed."""

from __future__ import annotations

import base64
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from toolkit.diagnostics import EstimateUnderTest, TrainingCurve, diagnose
from toolkit.diagnostics.closure import DEFINITION
from toolkit.errors import InputFileError, ShapeError
from toolkit.plots import PlotStyle
from toolkit.report import Page, PageFigure, PageSection, PageTable, Provenance, build_page, judge, write_page
from toolkit.report.drawing import draw_all
from toolkit.report.figures import result_jobs, suite_jobs
from toolkit.report.html import render_page
from toolkit.weights import SimulatedEvents

PNG = b"\x89PNG\r\n\x1a\npicture"
VOID = {"meta", "img", "br", "link", "input"}


class Document(HTMLParser):
    """Collects what the tests ask for, and checks that tags nest."""

    def __init__(self, text):
        super().__init__()
        self.links, self.images, self.tags, self.ids, self.rows, self.flagged = [], [], [], [], [], 0
        self._open = []
        self._cells = None
        self.feed(text)
        assert self._open == [], "every tag is closed"

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("href", "src", "srcset", "data", "action")]
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "img":
            self.images.append(attributes)
        if tag == "tr":
            self._cells = []
            self.flagged += attributes.get("class") == "flagged"
        if tag in ("td", "th"):
            self._cells.append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        if tag == "tr":
            self.rows.append(self._cells)

    def handle_data(self, data):
        if self._open and self._open[-1] in ("td", "th"):
            self._cells[-1] += data


@pytest.fixture(scope="module")
def suite():
    rng = np.random.default_rng(1)
    n = 3000
    t, qq = rng.uniform(size=n), rng.uniform(size=n) < 0.5
    p = np.stack([3 * t**2, (1 - 0.8 * t + 0.64 * t**2) / 0.8133, np.ones(n), 2 * (1 - t)], axis=1)
    weights = p * np.array([40.0, 560.0, 600.0, 2300.0]) / n * 2
    weights[qq, :3] = 0
    weights[~qq, 3] = 0
    names = ("ggF_S", "ggF_SBI", "ggF_B", "qqZZ")
    observables = {"m4l": 220 + 900 * t, "phi": rng.uniform(-3, 3, size=n)}
    events = SimulatedEvents(names, np.arange(n, dtype=np.uint64), qq.astype(np.int64), ("ggF_B", "qqZZ"), observables, weights)
    pi = np.array([0.5, 0.0, 0.0, 0.5])

    def morph(mu):
        root = np.sqrt(mu)
        return np.stack([mu - root, root, 1 - root, np.ones_like(mu)], axis=1)

    log_ratios = np.log(p) - np.log(p @ pi)[:, None]
    reference = {"ggF_S": 0.5, "qqZZ": 0.5}
    return diagnose(EstimateUnderTest(events, log_ratios, reference, events.yields, morph, names[:3], ("qqZZ",), ("m4l",)))


PROVENANCE = Provenance(
    samples=(("ggF_S", "2", "1.8"),),
    sample_columns=("sample", "files", "k-factor"),
    cutflow={"ggF_S": {"all": {"events": 1000, "sumw": 50.0, "sumw2": 2.5}, "m4l": {"events": 900, "sumw": 47.4, "sumw2": 2.4}}},
    versions={"h4l-toolkit": "1.2.3", "numpy": "2.0"},
    seeds={"ratios": 1},
    config_hash="0123abcd",
    notes=("A fifth of the events is for testing.",),
)


def page_of(results, suite, figures=None):
    chosen = {"results": (PageFigure(PNG, "scans"),)} if figures is None else figures
    return build_page(results, judge(results), suite, chosen, title="off-shell", provenance=PROVENANCE)


def test_every_method_with_its_numbers(results, suite):
    document = Document(render_page(page_of(results, suite)))
    rows = {row[0]: row for row in document.rows if row}
    first = [row for row in document.rows if row and row[0] == "NSBI, unbinned"]
    assert first[0][:2] == ["NSBI, unbinned", "1.90 ± 0.47"]
    assert first[1] == ["NSBI, unbinned", "1.40", "[0.30, 2.40]", "[0.00, 3.10]*", "1.90 ± 0.47", "biased"]
    assert first[2] == ["NSBI, unbinned", "0.70 ± 0.10 (+4.0) !", "1.40 ± 0.10 (+4.0) !", "2.10 ± 0.10 (+4.0) !", "biased"]
    for name in ("total rate", "m4l histogram", "score histogram"):
        assert name in rows
    m4l = [row for row in document.rows if row and row[0] == "m4l histogram"][1]
    assert m4l[2] == "[0.00, 0.20]*\n[0.70, 2.30]"


def test_flags_are_explained_where_they_stand(results, suite):
    table = page_of(results, suite).sections[0].tables[1]
    assert DEFINITION in table.note
    fitted = page_of(results, suite).sections[0].text[1]
    assert fitted.startswith("What is fitted: total rate, the number of events alone; m4l histogram, its bins;")


def test_data_events_have_a_cut_flow_of_their_own(results, suite):
    data = {"late": {"all": {"events": 12, "sumw": 12.0, "sumw2": 12.0}}}
    page = build_page(results, judge(results), suite, {}, title="t", provenance=replace(PROVENANCE, data_cutflow=data))
    tables = {table.title: table for section in page.sections for table in section.tables}
    assert tables["Cut flow: data"].rows == (("all", "12"),)
    assert "late" not in tables["Cut flow: expected events (simulated events)"].columns


def test_flags_stand_above_the_table(results, suite):
    text = render_page(page_of(results, suite))
    warning = text.index('class="warning">NSBI, unbinned: biased, fits mu = 0.70 ± 0.10 where 0.3 is true')
    assert warning < text.index("<table>")
    assert "Do not quote that: NSBI, unbinned is biased." in text
    closed = replace(results, closure=tuple(replace(p, mu_hat=p.mu) for p in results.closure))
    clean = render_page(page_of(closed, suite))
    assert 'class="warning"' not in clean
    assert "NSBI, unbinned against the m4l histogram: its t(0) is 3.52 ± 0.50 times as large" in clean
    assert "3.519 ± 0.040 at μ = 1 against 0, 3.519 ± 0.040 at μ = 1 against 2.5, 3.519 ± 0.040 at μ = 3 against 0." in clean


def test_tables_of_provenance(results, suite):
    document = Document(render_page(page_of(results, suite)))
    rows = {tuple(row) for row in document.rows}
    assert ("ggF_S", "2", "1.8") in rows
    assert ("m4l", "47.4 (900)") in rows
    assert ("numpy", "2.0") in rows
    assert ("seed of ratios", "1") in rows
    assert ("hash of the configuration", "0123abcd") in rows
    assert ("train", "100.0 s") in rows
    summary = next(p for p in suite.processes if p.process == "qqZZ")
    cells = next(row for row in document.rows if row[0] == "qqZZ" and len(row) == 8)
    assert cells[1] == "2313.5"
    assert cells[2].startswith(f"{summary.expected:.0f}"[:3])


def test_p_values_of_every_observable_and_target(results, suite):
    document = Document(render_page(page_of(results, suite)))
    row = next(r for r in document.rows if r[0] == "m4l" and len(r) == 2 + len(suite.targets))
    assert row[1] == "yes"
    first = suite.of_target("ggF_S")[0]
    p_value, deviation = row[2].split("\n")
    assert float(p_value) == pytest.approx(first.test.p_value, rel=0.06)
    assert deviation == f"{100 * np.abs(first.reweighted - first.target).sum() / first.target.sum():.1f} %"


def test_nothing_is_loaded_from_elsewhere(results, suite):
    text = render_page(page_of(results, suite))
    document = Document(text)
    assert document.images
    for link in document.links:
        assert link.startswith(("#", "data:image/png;base64,")), link[:60]
    for word in ("http:", "https:", "//", "@import", "url(", "<script"):
        assert word not in text.replace(base64.b64encode(PNG).decode(), "")
    assert {f[1:] for f in document.links if f.startswith("#")} == set(document.ids)


def test_pictures_are_embedded(results, suite):
    document = Document(render_page(page_of(results, suite)))
    assert base64.b64decode(document.images[0]["src"].partition(",")[2]) == PNG
    assert document.images[0]["alt"] == "scans"


def test_text_is_escaped():
    table = PageTable("<b>", ("a<b",), (("<script>alert(1)</script>",),))
    page = Page("<i>title</i>", "a & b", (PageSection("S", text=("<u>",), tables=(table,)),))
    text = render_page(page)
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "&lt;i&gt;title&lt;/i&gt;" in text


def test_empty_sections_are_left_out(results):
    page = build_page(replace(results, closure=(), timing_s={}), (), None, {}, title="t", provenance=Provenance())
    assert [s.title for s in page.sections] == ["Result", "Closure", "Yields"]
    assert page.sections[1].warnings


def test_warnings_of_the_training_stand_in_its_section(results):
    warning = "Member 1, classes: small batches."
    page = build_page(results, (), None, {}, title="t", provenance=Provenance(), training_warnings=(warning,))
    assert [s.warnings for s in page.sections if s.title == "Training"] == [(warning,)]


def test_row_length_is_checked():
    with pytest.raises(ShapeError, match="2 cells"):
        PageTable("t", ("a", "b"), (("1",),))


def test_written_in_one_step(results, suite, tmp_path):
    path = tmp_path / "report.html"
    write_page(path, page_of(results, suite))
    assert path.read_text(encoding="utf-8") == render_page(page_of(results, suite))
    with pytest.raises(InputFileError):
        write_page(tmp_path / "missing" / "report.html", page_of(results, suite))
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def all_jobs(results, suite):
    return (*result_jobs(results, judge(results), [], style=PlotStyle()), *suite_jobs(suite, style=PlotStyle()))


def test_plot_jobs_cover_everything(results, suite):
    training = [TrainingCurve("0", "classes", (1.0, 0.9), (1.0, 0.95), 1)]
    style = PlotStyle()
    jobs = (*result_jobs(results, judge(results), training, style=style), *suite_jobs(suite, style=style, details=True))
    names = [job.name for job in jobs]
    assert len(set(names)) == len(names)
    assert {job.part for job in jobs} == {"results", "closure", "calibration", "reweighting", "observables", "yields", "training"}
    for name in ("scans", "closure", "calibration_ggF_S_ggF_B", "calibration_mu_0_mu_1", "reweighting_ggF_S", "reweighting_ggF_S_phi"):
        assert name in names
    for name in ("reweighting_total_mu_1", "observable_m4l", "observable_phi", "yields", "effective_size", "training_classes"):
        assert name in names
    shown = {job.name: job.draw().numbers for job in jobs if job.part in ("calibration", "observables")}
    assert shown["observable_phi"]["observable"] == "phi", "each job draws its own result"
    assert shown["calibration_ggF_S_ggF_B"]["denominator"] == "ggF_B"
    assert shown["calibration_ggF_S_qqZZ"]["denominator"] == "qqZZ"


def test_data_events_are_drawn_where_they_are_given(results, suite):
    jobs = suite_jobs(suite, style=PlotStyle(), data={"m4l": np.array([250.0, 300.0, np.nan, 9000.0])})
    found = {job.name: job for job in jobs if job.part == "observables"}
    figure = found["observable_m4l"].draw()
    assert sum(figure.numbers["data"]) == 3
    assert "data" in found["observable_m4l"].caption
    assert "Simulation" not in [text.get_text() for text in figure.axes[0].texts]
    other = found["observable_phi"]
    assert "data" not in other.caption
    assert "data" not in other.draw().numbers


def test_drawn_pictures_reach_the_page(results, suite, tmp_path):
    jobs = [j for j in all_jobs(results, suite) if j.name in ("scans", "yields")]
    steps = []
    figures = draw_all(jobs, folder=tmp_path / "plots", progress=lambda *step: steps.append(step))
    assert sorted(p.name for p in (tmp_path / "plots").iterdir()) == [
        f"{n}.{e}" for n in ("scans", "yields") for e in ("json", "pdf", "png")
    ]
    assert steps == [("plots", 0, 2), ("plots", 1, 2), ("plots", 2, 2)]
    document = Document(render_page(page_of(results, suite, figures)))
    stored = {(tmp_path / "plots" / f"{n}.png").read_bytes() for n in ("scans", "yields")}
    assert {base64.b64decode(i["src"].partition(",")[2]) for i in document.images} == stored


def test_several_processes_draw_the_same_files(results, suite, tmp_path):
    jobs = [j for j in all_jobs(results, suite) if j.part in ("results", "closure", "reweighting")]
    one = draw_all(jobs, folder=tmp_path / "one")
    two = draw_all(jobs, folder=tmp_path / "two", processes=2)
    assert one == two
    assert len(jobs) >= 3
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_figures_and_tables_are_numbered_through(results, suite):
    figures = {part: (PageFigure(PNG, f"in {part}", name=part),) for part in ("results", "closure", "yields")}
    text = render_page(page_of(results, suite, figures))
    for number, part in enumerate(figures, start=1):
        assert f"<b>Figure {number}.</b> in {part} <code>plots/{part}</code>" in text
    count = text.count("<table>")
    assert [f"<caption>Table {n}" in text for n in range(1, count + 2)] == [True] * count + [False]


def test_selection_and_input_files_are_on_the_page(results, suite):
    inputs = (("ggF_S", "ggF_S_0.root", "4.3 MB", "ad0f9cca434370ec"),)
    origin = replace(PROVENANCE, selection=(("muons", "pT ≥ 5 GeV"),), networks=(("hidden layers", "64 nodes"),), inputs=inputs)
    document = Document(render_page(build_page(results, judge(results), suite, {}, title="t", provenance=origin)))
    assert ["muons", "pT ≥ 5 GeV"] in document.rows
    assert ["hidden layers", "64 nodes"] in document.rows
    assert ["ggF_S", "ggF_S_0.root", "4.3 MB", "ad0f9cca434370ec"] in document.rows
