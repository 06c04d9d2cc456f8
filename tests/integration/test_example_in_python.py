"""examples/offshell4l.py gives what `h4l run` gives with the same config and seeds."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.example_slice import write_first_events
from tests.integration.small_analysis import CONFIG, EVENTS
from toolkit.cli import main
from toolkit.report import read_results

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "offshell4l.py"
PLAIN: dict[str, Any] = {key: value for key, value in CONFIG.items() if key != "systematics"}


def script() -> Any:
    spec = importlib.util.spec_from_file_location("offshell4l", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("cross_fit", [False, True])
def test_the_script_gives_the_numbers_of_the_command(cross_fit: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_first_events(tmp_path, EVENTS)
    likelihood = {key: CONFIG["likelihood"][key] for key in ("closure_mu", "bootstrap_replicas", "scan_points", "goodness")}
    config = tmp_path / "config.yaml"
    document = {**PLAIN, "likelihood": likelihood | {"ratio_uncertainty": False}}
    if cross_fit:  # so few events leave bins of two ratios to one fold alone
        document |= {"ratios": {**CONFIG["ratios"], "splits": {"cross_fit": True}}, "score_plane": None}
    config.write_text(yaml.safe_dump(document))
    with pytest.raises(SystemExit) as ended:
        main(["run", str(config), "--out", str(tmp_path / "command")])
    assert ended.value.code == 0
    module = script()
    found = module.analyse(config, tmp_path, tmp_path / "script")
    expected = read_results(tmp_path / "command" / "results.json")
    assert list(found.methods) == list(expected.methods)
    assert len(found.methods) >= 4
    for name, method in expected.methods.items():
        same = found.methods[name]
        assert same.mu_hat == pytest.approx(method.mu_hat, abs=1e-9)
        assert same.twice_nll_at_0 == pytest.approx(method.twice_nll_at_0, abs=1e-9)
        np.testing.assert_allclose(same.scan.twice_delta_nll, method.scan.twice_delta_nll, atol=1e-9)
    for one, two in zip(found.closure, expected.closure, strict=True):
        assert one.mu_hat == pytest.approx(two.mu_hat, abs=1e-9)
        assert one.standard_error == pytest.approx(two.standard_error, abs=1e-9)
    module.show(module.methods_table(found))
    assert "nsbi" in capsys.readouterr().out


def test_the_script_stays_short() -> None:
    lines = [line for line in SCRIPT.read_text().split('"""')[-1].splitlines() if line.strip()]
    assert len(lines) < 25
