"""Workspaces with the numbers of pyhf's documentation, docstrings and validation, written for pyhf's schema.

Sources: pyhf 0.7.6, docstrings of `pyhf.infer` and `pyhf.simplemodels`, docs/likelihood.rst (toy example), validation/data.
"""

from __future__ import annotations

from typing import Any

from tests.unit.likelihood.pyhf_models import LUMI, MU, binwise, histosys, normsys, sample

WIDE = {"name": "mu", "inits": [1.0], "bounds": [[0.0, 10.0]]}
LUMINOSITY = {"name": "lumi", "auxdata": [1.0], "sigmas": [0.1], "inits": [1.0], "bounds": [[0.0, 10.0]]}


def workspace(channels: dict[str, tuple[list[float], list[dict[str, Any]]]], *parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "1.0.0",
        "channels": [{"name": name, "samples": samples} for name, (_, samples) in channels.items()],
        "observations": [{"name": name, "data": counts} for name, (counts, _) in channels.items()],
        "measurements": [{"name": "measurement", "config": {"poi": "mu", "parameters": [WIDE, *parameters]}}],
    }


SIGNAL = sample("signal", [12.0, 11.0], MU)
DOCUMENTS: dict[str, dict[str, Any]] = {
    "hello_world": workspace(
        {"singlechannel": ([51.0, 48.0], [SIGNAL, sample("background", [50.0, 52.0], binwise("uncorr_bkguncrt", "shapesys", [3.0, 7.0]))])}
    ),
    "toy_example": workspace(
        {
            "singlechannel": (
                [50.0, 60.0],
                [
                    sample("signal", [5.0, 10.0], MU),
                    sample("background", [50.0, 60.0], binwise("uncorr_bkguncrt", "shapesys", [5.0, 12.0])),
                ],
            )
        }
    ),
    "correlated": workspace(
        {
            "singlechannel": (
                [51.0, 48.0],
                [SIGNAL, sample("background", [50.0, 52.0], histosys("correlated_bkg_uncertainty", [45.0, 57.0], [55.0, 47.0]))],
            )
        }
    ),
    "histosys": workspace(
        {
            "c": (
                [120.0, 180.0],
                [sample("sig", [30.0, 95.0], MU), sample("bkg", [100.0, 150.0], histosys("bkg_norm", [102.0, 190.0], [98.0, 100.0]))],
            )
        }
    ),
    "coupled_histosys": workspace(
        {
            "signal": (
                [170.0, 220.0],
                [
                    sample("sig", [30.0, 35.0], MU),
                    sample("bkg1", [100.0, 100.0], histosys("coupled", [110.0, 110.0], [90.0, 90.0])),
                    sample("bkg2", [50.0, 120.0], histosys("coupled", [55.0, 55.0], [45.0, 45.0])),
                ],
            ),
            "control": ([110.0, 105.0], [sample("bkg1", [105.0, 100.0], histosys("coupled", [110.0, 115.0], [95.0, 90.0]))]),
        }
    ),
    "coupled_normsys": workspace(
        {
            "signal": (
                [105.0, 220.0],
                [
                    sample("sig", [20.0, 35.0], MU),
                    sample("bkg1", [100.0, 100.0], normsys("coupled", 1.1, 0.9)),
                    sample("bkg2", [50.0, 80.0], normsys("coupled", 1.5, 0.5)),
                ],
            ),
            "control": ([110.0, 105.0], [sample("bkg1", [100.0, 100.0], normsys("coupled", 1.1, 0.9))]),
        }
    ),
    "coupled_shapefactor": workspace(
        {
            "signal": ([220.0, 230.0], [sample("sig", [20.0, 20.0], MU), sample("bkg1", [100.0, 70.0], binwise("coupled", "shapefactor"))]),
            "control": ([200.0, 300.0], [sample("bkg1", [100.0, 100.0], binwise("coupled", "shapefactor"))]),
        }
    ),
    "lumi": workspace({"c": ([125.0], [sample("sig", [20.0], MU, LUMI), sample("bkg1", [100.0], LUMI)])}, LUMINOSITY),
    "staterror": workspace(
        {
            "c": (
                [55.0, 72.0, 20.0],
                [
                    sample("sig", [5.0, 10.0, 2.0], MU, binwise("staterror_c", "staterror", [0.5, 1.0, 0.4])),
                    sample("bkg1", [30.0, 40.0, 10.0], binwise("staterror_c", "staterror", [3.0, 4.0, 2.0])),
                    sample("bkg2", [20.0, 20.0, 7.0], normsys("xs", 1.2, 0.85)),
                ],
            )
        }
    ),
    "normfactors": workspace(
        {
            "signal": ([130.0, 100.0], [sample("sig", [20.0, 5.0], MU), sample("bkg", [100.0, 90.0], {**MU, "name": "k_bkg"})]),
            "control": ([210.0], [sample("bkg", [200.0], {**MU, "name": "k_bkg"})]),
        }
    ),
}
