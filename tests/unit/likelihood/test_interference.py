"""Which parameters may have several minima is read off the expected rates, not off names."""

from __future__ import annotations

import numpy as np

from tests.unit.likelihood.pyhf_models import MU, normsys, sample
from toolkit.likelihood import BinnedLikelihood, PyhfLikelihood, UnbinnedLikelihood, morphing_expressions
from toolkit.likelihood.histfactory import quiet_schema


def test_rates_tell() -> None:
    """Linear strengths have one minimum, interference and squares have two; names do not matter."""

    def binned(*coefficients: str) -> frozenset[str]:
        templates = [[30.0], [40.0], [50.0], [20.0]][: len(coefficients)]
        return BinnedLikelihood(
            templates=templates, data=[60.0], coefficients=coefficients, parameters=("a", "b"), bounds={"a": (0.0, 1e8), "b": (-3.0, 3.0)}
        ).interfering

    assert binned("a", "1 + b / 10") == set()
    assert binned(*morphing_expressions(parameter="a"), "1 + b / 10") == {"a"}
    assert binned("a", "1 + b ** 2") == {"b"}
    assert binned("sqrt(a)", "1 + b + b ** 2") == {"a", "b"}


def test_variations_that_go_one_way_tell() -> None:
    import pyhf

    samples = [
        sample("s", [10.0], MU),
        sample("b", [500.0], normsys("one_way", 1.1, 1.12), normsys("both_ways", 1.1, 0.9), normsys("tiny", 1.001, 1.001)),
    ]
    with quiet_schema():
        model = pyhf.Model({"channels": [{"name": "c", "samples": samples}]}, poi_name="mu")
    assert PyhfLikelihood(model, [510.0, *model.config.auxdata]).interfering == {"one_way"}


def test_toys_take_over_what_is_known() -> None:
    likelihood = UnbinnedLikelihood(
        log_ratios=np.zeros((5, 3)),
        weights=np.ones(5),
        yields=[1.0, 1.0, 8.0],
        coefficients=("mu", "-4 * sqrt(mu)", "1"),
        parameters=("mu",),
        bounds={"mu": (0.0, 16.0)},
    )
    assert likelihood.interfering == {"mu"}
    assert likelihood.with_events([0, 1]).__dict__["interfering"] == {"mu"}
