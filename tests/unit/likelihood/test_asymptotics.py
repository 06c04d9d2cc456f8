"""CLs and upper limits: pyhf's own numbers and examples; the saturated model."""

from __future__ import annotations

import numpy as np
import pyhf
import pytest

from tests.unit.likelihood.pyhf_models import model
from toolkit.errors import FitError, SchemaError
from toolkit.likelihood import PyhfLikelihood, cls, upper_limit


def hello_world() -> PyhfLikelihood:
    built = model("hello_world")
    return PyhfLikelihood(built, [51.0, 48.0, *built.config.auxdata])


def test_the_example_of_pyhfs_documentation() -> None:
    """Observed and expected CLs as printed there: 0.05251497 and 0.06445321."""
    result = cls(hello_world(), 1.0, hello_world().asimov)
    assert result.observed == pytest.approx(0.05251497, abs=2e-6)
    assert result.expected[2] == pytest.approx(0.06445321, abs=2e-6)


@pytest.mark.parametrize("name", ["hello_world", "correlated", "coupled_histosys", "luminosity"])
@pytest.mark.parametrize("value", [0.6, 2.0])
def test_cls_is_pyhfs(name: str, value: float) -> None:
    built = model(name)
    start = np.array(built.config.suggested_init())
    start[built.config.poi_index] = 0.3
    counts = np.round(built.expected_actualdata(start))
    likelihood = PyhfLikelihood(built, [*counts, *built.config.auxdata])
    ours = cls(likelihood, value, likelihood.asimov)
    theirs, band = pyhf.infer.hypotest(value, likelihood.data.tolist(), built, test_stat="qtilde", return_expected_set=True)
    assert ours.observed == pytest.approx(float(theirs), abs=2e-5)
    np.testing.assert_allclose(ours.expected, np.array(band, dtype=float), atol=2e-5)


def test_the_upper_limit_is_where_cls_is_five_per_cent() -> None:
    likelihood = hello_world()
    limit = upper_limit(likelihood, likelihood.asimov)
    assert cls(likelihood, limit, likelihood.asimov).observed == pytest.approx(0.05, abs=1e-5)
    assert limit == pytest.approx(1.0115, abs=2e-3)  # pyhf.infer.intervals.upper_limits.upper_limit on the same model
    with pytest.raises(SchemaError, match="background alone"):
        cls(likelihood, 0.0, likelihood.asimov)
    with pytest.raises(FitError, match="widen the range"):
        upper_limit(likelihood, likelihood.asimov, level=1.0 - 1e-30)


def test_the_saturated_model() -> None:
    """Perfect data give 0; a single bin without nuisance parameters the textbook Poisson deviance."""
    built = model("hello_world")
    start = np.array(built.config.suggested_init())
    perfect = PyhfLikelihood(built, built.expected_data(start))
    assert perfect.goodness_of_fit(perfect.fit()).statistic == pytest.approx(0.0, abs=1e-7)
    assert perfect.goodness_of_fit(perfect.fit()).degrees == 1
    moved = perfect.with_data([80.0, 30.0])
    fit = moved.fit()
    quality = moved.goodness_of_fit(fit)
    expected = built.expected_actualdata(moved.model_parameters(moved.point(fit.parameters)[None, :])[0])
    counts = np.array([80.0, 30.0])
    deviance = 2.0 * np.sum(expected - counts + counts * np.log(counts / expected))
    assert quality.statistic > deviance
    assert 0.0 < quality.p_value < 1e-2
