"""Write the members of a trained ensemble as ONNX files of their own, beside the ensemble."""

from __future__ import annotations

from pathlib import Path

from toolkit.artifacts.atomic import make_folder
from toolkit.config import Config
from toolkit.pipeline.stage import StageContext
from toolkit.typing import Progress, silent_progress

FOLDER = Path("member_models")


def export_members(config: Config, out: Path, *, progress: Progress = silent_progress) -> tuple[Path, ...]:
    """Write `member_models/member_00.onnx`, ... of a finished training, each verified as the ensemble is.

    Args:
        config: The analysis.
        out: The output folder.
        progress: Called after every member.

    Returns:
        The files.

    Raises:
        ArtifactMismatchError: The training is of other events or another config.
    """
    from exports import write_onnx  # noqa: PLC0415 - torch only where a network is written
    from toolkit.analysis.datasets import read_simulation  # noqa: PLC0415
    from toolkit.analysis.features import describe_features  # noqa: PLC0415
    from toolkit.analysis.regions import learned_events  # noqa: PLC0415
    from toolkit.pipeline.stages.export import data_hash, load_trained, training_hash  # noqa: PLC0415
    from toolkit.ratios import feature_matrix  # noqa: PLC0415

    context = StageContext(config=config, out=out, work=out, key="")
    training, test = (learned_events(config, events) for events in read_simulation(context))
    trained = load_trained(context, training)
    rows = feature_matrix(test.observables, trained.features)
    folder, written = make_folder(out / FOLDER), []
    for k in range(len(trained.history)):
        export = trained.to_onnx(
            folder / f"member_{k:02d}.onnx",
            writer=write_onnx,
            reference_rows=rows,
            member=k,
            features=describe_features(training, config, trained.features),
            config_hash=training_hash(config),
            training_data_hash=data_hash(training),
            fills=config.fills,
            z1=config.selection.z1,
        )
        written.append(export.path)
        progress("members", k + 1.0, float(len(trained.history)))
    return tuple(written)
