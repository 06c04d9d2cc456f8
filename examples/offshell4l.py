"""Off-shell H* -> ZZ -> 4l in Python, what `h4l run examples/offshell4l.yaml` does up to the report.

python examples/offshell4l.py examples/offshell4l.yaml FOLDER_WITH_THE_NTUPLES OUT
"""

import sys
from pathlib import Path

from rich import print as show

import processors
from exports import write_onnx
from toolkit.analysis import MEMBERS, MODEL, OUT_OF_BAG, Folder, describe_features, fit, fold_file, read_simulation, write_out_of_bag
from toolkit.config import load_config
from toolkit.likelihood import Results
from toolkit.ratios import feature_matrix, fit_ratios
from toolkit.report import methods_table


def analyse(config_file: Path, data: Path, out: Path) -> Results:
    """Process the ntuples, train and export the networks, fit the signal strength by every method."""
    config = load_config(config_file, data=data)
    processors.run(config, out)  # events/, histograms/, cutflow.json

    session = Folder(config, out)
    training, test = read_simulation(session)
    trained = fit_ratios(training, config=config.ratios, model=config.model, folder=out / MEMBERS)
    crossed = trained.cross_fitted  # the networks without each fold, where every event is data
    log_ratio = crossed.in_calibration if crossed else trained.out_of_bag
    write_out_of_bag(out / OUT_OF_BAG, training, log_ratio=log_ratio, before_calibration=trained.before_calibration)
    files = {fold_file((out / MODEL).parent, k): part for k, part in enumerate(crossed.without if crossed else ())}
    for path, ensemble in {out / MODEL: trained.ensemble, **files}.items():
        write_onnx(
            ensemble,
            path,
            features=describe_features(training, config, trained.features),
            numerators=trained.numerators,
            reference=trained.reference,
            estimator="mixture",
            reference_rows=feature_matrix(test.observables, trained.features),
            ensemble_size=len(ensemble.members),
        )
    return fit(session).results


if __name__ == "__main__":
    show(methods_table(analyse(*map(Path, sys.argv[1:4]))))
