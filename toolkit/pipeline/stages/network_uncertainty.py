"""The statistical uncertainty of the density ratios: found and written in the stage `export`, read by the fit."""

from __future__ import annotations

from collections.abc import Sequence

from exports import Feature, write_onnx
from toolkit.analysis.layout import NETWORK_UNCERTAINTY, NETWORK_UNCERTAINTY_REPORT
from toolkit.analysis.learned import shift_output
from toolkit.analysis.ratio_spread import LONGER
from toolkit.artifacts.atomic import write_json
from toolkit.pipeline.stage import StageContext
from toolkit.ratios import RatioModel, TrainedMixture, feature_matrix
from toolkit.ratios.targeted_spread import TargetedSpread, targeted_spread
from toolkit.weights import SimulatedEvents

ESTIMATOR = "network uncertainty"
REFERENCE = "density of the same process, before the shift by one standard deviation"


def export_network_uncertainty(
    context: StageContext, trained: RatioModel, *, training: SimulatedEvents, test: SimulatedEvents, features: Sequence[Feature]
) -> None:
    """Write `models/network_uncertainty.json`, and the ONNX file of the shifts if the fit is to use them.

    Args:
        context: The stage.
        trained: The ensemble; networks that read the parameter have no shifts.
        training: Events that it was trained and calibrated with.
        test: Events that the file is verified on.
        features: Inputs of the networks.
    """
    config = context.config
    if not (config.ratio_nuisances and isinstance(trained, TrainedMixture)):  # also for fits without: switched on again, they find it
        return
    spread, module = targeted_spread(trained, training, model=config.model.learned, most=len(config.ratio_nuisances))
    used = config.likelihood.ratio_uncertainty is True or float(spread.longer.max()) > LONGER
    names = config.ratio_nuisances[: len(spread.yields)] if used else ()
    if names:
        write_onnx(
            module,
            context.work / NETWORK_UNCERTAINTY,
            features=features,
            numerators=[shift_output(name, process) for name in names for process in spread.processes],
            reference=REFERENCE,
            estimator=ESTIMATOR,
            reference_rows=feature_matrix(test.observables, trained.features),
        )
    write_json(context.work / NETWORK_UNCERTAINTY_REPORT, describe_spread(spread, names))


def describe_spread(spread: TargetedSpread, names: Sequence[str]) -> dict[str, object]:
    """Return what the file says: the change of the yields of every shift in the fit, and how much longer errors get in each direction."""
    columns = (spread.directions, spread.longer, spread.simulation / spread.information, spread.training / spread.information)
    rows = [
        {"direction": label, "longer": float(longer), "simulation": float(simulation), "training": float(training)}
        for label, longer, simulation, training in zip(*columns, strict=True)
    ]
    shifts = {name: dict(zip(spread.processes, row.tolist(), strict=True)) for name, row in zip(names, spread.yields, strict=False)}
    return {"schema": 1, "limit": LONGER, "directions": rows, "shifts": shifts}
