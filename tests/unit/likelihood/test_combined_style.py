"""Workspaces as converters of combinations write them, with a signal strength between -10 and 10: fits agree with pyhf's."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.likelihood.combined_style import converted_workspace
from toolkit.likelihood import PyhfLikelihood, Workspace

PYHF = {
    1: (-0.085274, 41.030903),
    2: (0.333794, 10.479572),
    3: (0.997781, 11.265894),
    4: (2.926418, 43.738436),
    5: (3.245138, 11.136567),
    6: (-0.218563, 40.128078),
    8: (1.037735, 11.260496),
    9: (2.767272, 61.362087),
    11: (-0.384235, 28.106614),
    12: (1.279104, 64.811711),
}
"""Best fit of r and -2 ln L there, by pyhf 0.7.6 with torch gradients and iminuit, tolerance 1e-8, from its suggested start."""


@pytest.mark.parametrize("seed", sorted(PYHF))
def test_fits_are_pyhfs_although_part_of_the_range_is_forbidden(seed: int) -> None:
    likelihood = Workspace(converted_workspace(seed)).likelihood()
    fit = likelihood.fit()
    value, twice_nll = PYHF[seed]
    assert abs(fit.parameters["r"] - value) < 1e-4 * fit.errors["r"]
    assert fit.twice_nll == pytest.approx(twice_nll, abs=1e-5)
    assert fit.status == "converged"
    low = next(limit for limit in fit.limits if limit.parameter == "r")
    assert low.side == "low"
    assert -10.0 < low.value < fit.parameters["r"]
    assert isinstance(likelihood, PyhfLikelihood)
    order = [likelihood.parameter_names.index(n) for n in likelihood.model.config.par_names]
    best = likelihood.point(fit.parameters)[order]
    assert -2.0 * float(likelihood.model.logpdf(best, likelihood.data)[0]) == pytest.approx(fit.twice_nll, rel=1e-9)
    where, bin_ = low.where.split(", bin ")
    beyond = likelihood.point({**fit.parameters, "r": low.value - 1e-3})[order]
    index = likelihood.model.config.channel_slices[where.split("'")[1]].start + int(bin_)
    assert np.asarray(likelihood.model.expected_actualdata(beyond))[index] < 0.0


@pytest.mark.parametrize("seed", [1, 12])
def test_scans_over_the_whole_range_are_infinite_only_where_no_nuisance_parameter_helps(seed: int) -> None:
    likelihood = Workspace(converted_workspace(seed)).likelihood()
    scan = likelihood.scan("r", np.linspace(-10.0, 10.0, 21))
    finite = np.isfinite(scan.twice_delta_nll)
    assert finite[10:].all()
    assert not finite[0]
    assert np.all(np.diff(finite.astype(int)) >= 0), "one piece of the range is allowed"
    best = likelihood.fit()
    k = int(np.argmin(np.where(finite, scan.twice_delta_nll, np.inf)))
    assert abs(scan.values[k] - best.parameters["r"]) <= 1.0
