"""A plot is three files; they appear together or not at all, and twice the same."""

from __future__ import annotations

import io
import json

import pytest

from toolkit.errors import InputFileError
from toolkit.plots import plot_calibration, plot_scans, png_bytes, save_figure


def test_three_files(tmp_path, calibration):
    figure = plot_calibration(calibration)
    saved = save_figure(figure, tmp_path / "plots", "calibration")
    assert sorted(p.name for p in (tmp_path / "plots").iterdir()) == ["calibration.json", "calibration.pdf", "calibration.png"]
    assert saved.pdf.read_bytes()[:5] == b"%PDF-"
    assert saved.png.read_bytes()[:4] == b"\x89PNG"
    assert json.loads(saved.numbers.read_text()) == figure.numbers
    assert json.loads(saved.numbers.read_text())["fraction"] == calibration.fraction.tolist()


def test_same_bytes_twice(tmp_path, results):
    first = save_figure(plot_scans(results), tmp_path, "one")
    second = save_figure(plot_scans(results), tmp_path, "two")
    assert first.png.read_bytes() == second.png.read_bytes()
    assert first.pdf.read_bytes() == second.pdf.read_bytes()


def test_unwritable_folder(tmp_path, results):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputFileError, match="cannot write"):
        save_figure(plot_scans(results), tmp_path / "file", "scan")
    assert (tmp_path / "file").read_text() == "in the way"


def test_bytes_are_those_of_savefig(results):
    figure = plot_scans(results)
    expected = io.BytesIO()
    figure.savefig(expected, format="png", dpi=160.0, metadata={"Software": None})
    dpi, canvas = figure.dpi, figure.canvas
    assert png_bytes(plot_scans(results)) == expected.getvalue()
    png_bytes(figure)
    assert (figure.dpi, figure.canvas) == (dpi, canvas)
