"""The report in a real browser: it loads nothing, says nothing on the console, fits wide and narrow windows, and prints."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.browser import chromium
from toolkit.likelihood.results import ClosurePoint, MethodResult, Results
from toolkit.likelihood.scans import Interval, Scan
from toolkit.plots import plot_closure, plot_scans, png_bytes
from toolkit.report import PageFigure, Provenance, build_page, judge, write_page

METHODS = ("rate", "m4l", "score", "score_2d", "nsbi")


pytestmark = pytest.mark.skipif(chromium.BROWSER is None, reason=chromium.NO_BROWSER)


def _results() -> Results:
    mu = np.linspace(0.0, 4.0, 41)
    methods = {
        name: MethodResult(name, 1.0, curve, (Interval(0.4, 1.9),), (Interval(0.0, 3.2),), Scan(mu, curve * (mu - 1.0) ** 2))
        for name, curve in zip(METHODS, (0.4, 0.7, 1.3, 1.4, 1.5), strict=True)
    }
    closure = tuple(ClosurePoint(t, t + 0.1, 0.3, method=name) for name in METHODS for t in (0.3, 0.6, 1.0, 1.7, 3.0))
    yields = {"ggF_S": 38.8, "ggF_SBI": 474.4, "ggF_B": 502.8, "qqZZ": 1923.2}
    return Results("mu", {"mu": 1.0}, 140.0, yields, methods, closure, {"process": 10.0, "train": 300.0})


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with wide tables, many pictures and warnings, as a run writes it."""
    results = _results()
    verdicts = judge(results)
    scans = png_bytes(plot_scans(list(results.methods.values()), verdicts=verdicts))
    closure = png_bytes(plot_closure(verdicts, parameter="mu"))
    figures = {
        "results": (PageFigure(scans, "Scans of every method.", name="scans"),),
        "closure": (PageFigure(closure, "Best fit against truth.", name="closure"),),
        "observables": tuple(PageFigure(scans, f"Observable {k}. " + "Long caption. " * 9, name=f"observable_{k}") for k in range(5)),
        "selection": (PageFigure(closure, "A wide one.", wide=True, name="a_long_name_without_any_place_to_break_it_" * 3),),
    }
    cuts = {cut: {"events": 123456, "sumw": 47.4, "sumw2": 2.4} for cut in ("all", "four leptons", "two pairs", "m4l")}
    provenance = Provenance(
        samples=tuple(
            (f"sample_{k}", ", ".join(f"sample_{k}_{i}.root" for i in range(6)), "1.8", "ggF_S, ggF_B, ggF_SBI") for k in range(4)
        ),
        sample_columns=("sample", "files", "k-factor", "benchmarks"),
        cutflow={f"sample_with_a_long_name_{k}": cuts for k in range(8)},
        versions={"h4l-toolkit": "1.2.3", "numpy": "2.4"},
        seeds={"ratios": 1},
        config_hash="0123abcd" * 4,
        selection=(("electrons", "pT ≥ 7 GeV, |η| ≤ 2.47"),),
        inputs=tuple((f"sample_{k}", f"sample_{k}.root", "4.3 MB", "ad0f9cca434370ec") for k in range(4)),
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(path, build_page(results, verdicts, None, figures, title="off-shell", provenance=provenance))
    return path


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_in_a_window(width: int, page: Path, tmp_path: Path) -> None:
    seen = chromium.look(page, tmp_path, width=width)
    assert seen.title == "off-shell"
    assert seen.console == []
    assert seen.requests == []
    assert (seen.width, seen.content) == (width, width), "no part of the page is cut off at the right"
    assert len(seen.images) == 8
    for decoded, pixels, rows, shown, text in seen.images:
        assert decoded
        assert min(pixels, rows) > 300
        assert 0.7 * min(width, 540) < shown <= width
        assert len(text) > 5
    assert len(seen.links) == seen.sections >= 6
    for address, found, place, _ in seen.links:
        assert found, f"nothing on the page is called {address}"
        assert place == address or width < chromium.SMALLEST
    if width >= chromium.SMALLEST:
        assert abs(seen.links[0][3]) < 2, "a click brings the section to the top"
    assert chromium.luminance(seen.colour) < 0.05
    assert chromium.luminance(seen.ground) > 0.9
    assert seen.fonts >= 14


def test_a_picture_of_the_page_has_ink(page: Path, tmp_path: Path) -> None:
    from matplotlib.image import imread

    picture = imread(chromium.screenshot(page, tmp_path / "page.png", tmp_path / "browser"))
    assert picture.shape[:2] == (1600, 1280)
    grey = picture[..., :3].mean(axis=-1)
    assert grey.max() == 1.0
    assert 0.005 < (grey < 0.5).mean() < 0.3
    assert (picture[..., :3].std(axis=-1) > 0.1).mean() > 0.001, "the lines of the methods are coloured"


def test_the_page_prints_on_paper(page: Path, tmp_path: Path) -> None:
    pdf = chromium.print_pdf(page, tmp_path / "page.pdf", tmp_path / "browser").read_bytes()
    sheets = [tuple(float(x) for x in box.split()) for box in re.findall(rb"/MediaBox\s*\[([^\]]*)\]", pdf)]
    assert 2 <= len(sheets) <= 8
    assert all(abs(width - 595) < 2 and abs(height - 842) < 2 for _, _, width, height in sheets), "A4"


def test_the_probe_sees_what_is_wrong(tmp_path: Path) -> None:
    """A page that asks for files, writes an error, is too wide and has a dead link and a dead picture."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<!DOCTYPE html><html><head><title>bad</title></head><body style='color: #ddd; background: #fff'>"
        "<a href='#nowhere'>x</a><div style='width: 3000px'>y</div><img src='data:image/png;base64,AAAA' alt=''>"
        "<img src='missing.png' alt='missing'><script>console.error('broken')</script></body></html>"
    )
    seen = chromium.look(bad, tmp_path / "browser")
    assert seen.content > 3000
    assert any("broken" in line for line in seen.console)
    assert any("missing.png" in line for line in (*seen.requests, *seen.console))
    assert seen.images[0][1] == 0
    assert not seen.links[0][1]
    assert chromium.luminance(seen.colour) > 0.5
