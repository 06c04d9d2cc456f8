"""From what a report was made, for its page: samples, selection, input files, split of the events, seeds, versions."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit.analysis.layout import NETWORK_UNCERTAINTY_REPORT
from toolkit.config import BitConfig, Config, RatioConfig, RatioSettings
from toolkit.config.ratios import NetworkSettings
from toolkit.locations import locate
from toolkit.pipeline.stages.provenance import config_hash, library_versions, seeds
from toolkit.pipeline.stamps import read_stamp
from toolkit.report import Provenance
from toolkit.weights import SimulatedEvents

USES = {
    "mixture": "measurements: interference is an output of its own, and no density is negative",
    "per_process": "comparison with the published recipe",
    "multiclass": "ratios of one network",
    "quasi_parametric": "comparison with the mixture: the same outputs, learned by one loss",
    "bit": "few events, no tuning",
    **dict.fromkeys(("alices", "alice", "carl", "cascal", "rascal", "rolr"), "one network for all values, beside the mixture as a check"),
}
"""What an estimator is for."""
LABELS = "labels: the sample that an event comes from"
WEIGHTS = "weights of the same event under several hypotheses, labels of the others"


def describe_provenance(
    config: Config,
    test: SimulatedEvents,
    cutflow: Mapping[str, Any],
    *,
    inputs: tuple[tuple[str, ...], ...] = (),
    uncertainty: tuple[tuple[str, str], ...] = (),
) -> Provenance:
    """Describe samples, selection, input files, split, networks, seeds and versions for the page; blinded events are not counted.

    What the test events of a cross-fit are is among the notes of its results.
    """
    splits = config.ratios.splits
    note = (
        f"{len(test)} simulated test events ({splits.test:.0%} of all, by a hash of the event number): data of every expected fit, closure "
        "and diagnostic on this page. Networks, calibration, templates and yields come from the other events."
    )
    simulated = {sample.name for sample in config.simulated}
    counted = {sample.name for sample in config.data_samples} if config.likelihood.observed else set()
    return Provenance(
        samples=tuple(_sample_row(config, name) for name in (sample.name for sample in config.samples)),
        selection=selection_rows(config),
        networks=(*network_rows(config), *uncertainty),
        inputs=inputs,
        sample_columns=("sample", "files", "k-factor", "benchmarks"),
        cutflow={name: flow for name, flow in cutflow.items() if name in simulated},
        data_cutflow={name: flow for name, flow in cutflow.items() if name in counted},
        versions=library_versions(),
        seeds=seeds(config),
        config_hash=config_hash(config),
        notes=() if splits.cross_fit else (note,),
    )


def input_rows(out: Path) -> tuple[tuple[str, ...], ...]:
    """Return sample, file, size and hash of every input file, as the processing stage has found them."""
    stamp = read_stamp(out, "process")
    inputs = {} if stamp is None else stamp.parts.get("inputs", {})
    return tuple(
        (sample, file["name"], f"{file['size'] / 1e6:.1f} MB", (file.get("sha256") or file["sampled"])[:16])
        for sample, files in inputs.items()
        for file in files
    )


def selection_rows(config: Config) -> tuple[tuple[str, str], ...]:
    """Return every requirement of the selection in words."""
    chosen = config.selection
    rows = [
        (name, f"pT ≥ {part.pt_min:g} GeV, |η| ≤ {part.abs_eta_max:g}{_without(part.abs_eta_gap)}")
        for name, part in (("electrons", chosen.electron), ("muons", chosen.muon))
    ]
    rows.append(
        ("jets", f"pT ≥ {chosen.jet.pt_min:g} GeV, |η| ≤ {chosen.jet.abs_eta_max:g}, ΔR to leptons ≥ {chosen.jet.lepton_delta_r:g}")
    )
    if chosen.total_charge is not None:
        rows.append(("sum of charges", str(chosen.total_charge)))
    rows.append(("leptons", f"{'exactly' if chosen.n_leptons_exact else 'at least'} four, in {', '.join(chosen.channels)}"))
    if chosen.leading_pt_min:
        rows.append(("leading leptons", "pT ≥ " + ", ".join(f"{value:g}" for value in chosen.leading_pt_min) + " GeV"))
    rows += [
        (name, f"{low:g} to {high:g} GeV") for name, (low, high) in (("m_z1", chosen.m_z1), ("m_z2", chosen.m_z2), ("m4l", chosen.m4l))
    ]
    return tuple(rows)


def network_rows(config: Config) -> tuple[tuple[str, str], ...]:
    """Return in words what the networks read, how many there are, and how they were trained."""
    ratios = config.ratios
    rows = [
        ("estimator", f"{ratios.estimator}: {(inspect.getdoc(type(ratios)) or '').splitlines()[0]}"),
        ("use it for", USES[ratios.estimator]),
        ("learns from", LABELS if config.learns_from_labels else WEIGHTS),
        ("observables", ", ".join(ratios.features)),
        ("ensemble", ensemble_in_words(ratios)),
    ]
    if isinstance(ratios, NetworkSettings):
        layers = " x ".join(str(width) for width in ratios.hidden)
        grown = f" growing to {ratios.largest_batch_size}" if ratios.largest_batch_size else ""
        schedule = ratios.schedule.replace("_", " ")
        epochs = (
            f"{ratios.epochs} (classes), {ratios.composition_epochs} (composition)"
            if isinstance(ratios, RatioConfig) and not config.learns_from_labels
            else ratios.epochs
        )
        rows += [
            *([("lepton charges", "forgotten: every event is folded over them")] if ratios.fold_lepton_charges else []),
            ("architecture", f"{ratios.architecture.replace('_', ' ')}, {ratios.activation}"),
            ("hidden layers", f"{layers} nodes"),
            ("epochs, at most", str(epochs)),
            ("optimiser", f"{ratios.optimiser}, {schedule}, learning rate {ratios.learning_rate:g}, batches of {ratios.batch_size}{grown}"),
        ]
    if isinstance(ratios, BitConfig):
        rows += [
            ("trees, at most", f"{ratios.trees} per coefficient, {ratios.leaves} leaves, at least {ratios.min_events} events in each"),
            ("boosting", f"learning rate {ratios.learning_rate:g}"),
        ]
    return (*rows, ("validation", f"{ratios.validation_fraction:.0%} of the training events"))


def uncertainty_rows(out: Path) -> tuple[tuple[str, str], ...]:
    """Return in words by how much finite simulation and spread of the ensemble make an error longer; nothing where no export found it."""
    path = out / NETWORK_UNCERTAINTY_REPORT
    if not path.is_file():
        return ()
    document = json.loads(path.read_text(encoding="utf-8"))
    worst = max(document["directions"], key=lambda row: float(row["longer"]))
    fate = f"in the fit as {', '.join(document['shifts'])}" if document["shifts"] else "left out of the fit"
    text = f"error {worst['longer']:.3g} times as long ({worst['direction']}, the largest of {len(document['directions'])}); {fate}"
    return (("finite simulation and training", text),)


def ensemble_in_words(ratios: RatioSettings) -> str:
    """Say how many members there are, and what each is trained on.

    Examples:
        >>> ensemble_in_words(RatioConfig())
        '6 members, each trained on 2 of 4 folds of the training sample'
    """
    chosen = ratios.ensemble
    if chosen.subsets == "folds":
        return f"{ratios.n_members} members, each trained on {ratios.train_folds} of {ratios.splits.folds} folds of the training sample"
    drawn = "" if chosen.subsets == "fraction" else "a bootstrap of "
    return f"{ratios.n_members} members, each trained on {drawn}{chosen.fraction:.0%} of the training events"


def _without(gap: tuple[float, float] | None) -> str:
    return "" if gap is None else f", without {gap[0]:g} to {gap[1]:g}"


def _sample_row(config: Config, name: str) -> tuple[str, ...]:
    sample = config.sample(name)
    files = ", ".join(locate(file).name for file in sample.files)
    if sample.kind == "data":
        return (name, files, "-", "data")
    if sample.kind == "estimate":
        return (name, files, "-", "estimate from data")
    return (name, files, f"{sample.k_factor:g}", ", ".join(sample.benchmarks) or "none")
