"""How much of the exact likelihood ratio the networks keep: true leptons as inputs, exact ratios event by event as the judge.

    python -m benchmarks.generator --data FOLDER_OF_THE_BENCHMARK_SAMPLE --work WORK [--labels exact|samples]

The networks train on one half of the simulation and are judged on the other. With `--labels exact` every event carries its
weight under every process, q qbar -> ZZ included: the joint ratio is then known for all pairs of processes, as it is where
matrix elements can be evaluated at every event, and the class labels become probabilities. With `--labels samples` the
non-interfering sample is known by its label only, as in an ordinary ntuple; the label noise of the training half then moves
the best fit by about as much as the finite test half does. Neither network sees a density as an input.

Estimated and exact ratios are put into the same likelihood. What the networks learn is nu_j p_j with the yields nu_j of the training
half, whose fluctuation cancels in the product; the total rate nu(mu) is taken once from all events and once from the test
events alone. With the latter the exact ratio closes by construction, so that what is left is the error of the networks.
Finished members are kept in WORK; the command resumes there.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.exact import MODEL, PROCESSES, TruthEvents, read_truth
from benchmarks.measure import print_json, print_table
from toolkit.config import RatioConfig
from toolkit.kinematics import compute_observables
from toolkit.likelihood import UnbinnedLikelihood, asimov_weights, bootstrap_unbinned, morphing_expressions
from toolkit.ratios import TrainedMixture, feature_matrix, fit_ratios
from toolkit.typing import FloatArray
from toolkit.units import M_Z
from toolkit.weights import SimulatedEvents, hash_uniform

FEATURES = ("m4l", "m_z1", "m_z2", "cos_theta_star", "cos_theta_1", "cos_theta_2", "phi", "phi_1", "y4l")
COEFFICIENTS = morphing_expressions("ggF", parameter="mu", n_backgrounds=1)
BOUNDS = {"mu": (0.0, 6.0)}
MU = (0.3, 0.6, 1.0, 1.7, 3.0)
GROUPS = {"exact": ((0, 1, 2, 3),), "samples": ((0, 1, 2), (3,))}


def ordered_leptons(leptons: FloatArray) -> list[FloatArray]:
    """Put the pair nearer to the Z mass first: momenta (n, 4, 4) of l-, l+, l'-, l'+ to four of shape (n, 4)."""
    pairs = leptons.reshape(-1, 2, 2, 4).sum(axis=2)
    masses = np.sqrt(pairs[..., 3] ** 2 - np.sum(pairs[..., :3] ** 2, axis=-1))
    first = np.argmin(np.abs(masses - M_Z), axis=1)
    rows = np.arange(len(first))
    return [leptons[rows, 2 * z + i] for z in (first, 1 - first) for i in (0, 1)]


def simulated(truth: TruthEvents) -> SimulatedEvents:
    """Compute the observables of the true leptons; Z1 is the pair nearer to the Z mass."""
    observables = compute_observables(*ordered_leptons(truth.leptons), names=FEATURES)
    return SimulatedEvents(PROCESSES, truth.event_id, truth.sample, PROCESSES, observables, truth.weights)


def likelihood(log_densities: FloatArray, weights: FloatArray, yields: FloatArray) -> UnbinnedLikelihood:
    """Build the likelihood of the test events from log nu_j p_j / p_ref, (n, n_processes), and the yields of the total rate."""
    log_ratios = log_densities - np.log(yields)
    return UnbinnedLikelihood(
        log_ratios=log_ratios, weights=weights, yields=yields, coefficients=COEFFICIENTS, parameters=("mu",), bounds=BOUNDS
    )


def compare(estimated: FloatArray, exact: FloatArray, events: SimulatedEvents, yields: FloatArray) -> list[dict[str, float]]:
    """Fit the same test events with estimated and exact log nu_j p_j / p_ref, (n, n_processes) each, at every truth."""
    rows = []
    for mu in MU:
        weights = asimov_weights(events.weights, coefficients=COEFFICIENTS, parameters={"mu": mu}, bounds=BOUNDS)
        row: dict[str, float] = {"mu": mu}
        for name, log_densities in (("estimated", estimated), ("exact", exact)):
            built = likelihood(log_densities, weights, yields)
            fit = built.fit()
            row |= {f"{name}_mu_hat": fit.parameters["mu"], f"{name}_t0": built.twice_nll(0.0) - fit.twice_nll}
        row["test_error"] = bootstrap_unbinned(built, replicas=200, seed=1).standard_error
        rows.append(row)
    return rows


def per_event(estimated: FloatArray, exact: FloatArray, reference: FloatArray) -> dict[str, dict[str, float]]:
    """Compare the log ratios event by event.

    Args:
        estimated: Estimated log p_j / p_ref, (n, n_processes).
        exact: Exact ones.
        reference: Weight of each event in the reference density, (n,).

    Returns:
        Per process median and 95th percentile of |difference| over the events, and the largest relative difference of
        the mean ratio in a hundred bins of the estimated ratio that each hold 1 % of the reference.
    """
    out = {}
    share = reference / reference.sum()
    for j, name in enumerate(PROCESSES):
        difference = np.abs(estimated[:, j] - exact[:, j])
        order = np.argsort(estimated[:, j])
        bins = np.minimum((np.cumsum(share[order]) * 100).astype(int), 99)
        sums = [np.bincount(bins, weights=(share * np.exp(r[:, j]))[order], minlength=100) for r in (estimated, exact)]
        off = np.abs(sums[0] / sums[1] - 1.0)
        quantiles = np.quantile(difference, [0.5, 0.95])
        out[name] = {"median": float(quantiles[0]), "percentile_95": float(quantiles[1]), "calibration_max": float(off.max())}
        out[name]["calibration_median"] = float(np.median(off))
    return out


def exact_log_ratios(truth: TruthEvents, rows: Any, trained: TrainedMixture, yields: FloatArray) -> FloatArray:
    """Compute the exact log p_j / p_ref of some events, for the reference of the networks."""
    density = truth.density[rows] / yields
    fractions = trained.ensemble.mixture.reference_fractions()
    reference = density @ np.array([fractions[name] for name in PROCESSES])
    return np.asarray(np.log(density / reference[:, None]))


def main() -> None:
    """Train or resume, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--labels", choices=sorted(GROUPS), default="exact")
    parser.add_argument("--hidden", type=int, nargs="+", default=[128, 128, 128])
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--decay", type=float, default=1e-2)
    parser.add_argument("--salt", default="generator")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    config = RatioConfig(
        features=FEATURES,
        hidden=tuple(options.hidden),
        epochs=options.epochs,
        composition_epochs=options.epochs,
        batch_size=options.batch,
        learning_rate=options.rate,
        weight_decay=options.decay,
        patience=options.epochs,
        threads=options.threads,
    )
    truth = read_truth(options.data, luminosity_ifb=140.0, shared=GROUPS[options.labels])
    test = hash_uniform(truth.event_id, salt=options.salt) < 0.5
    training = simulated(truth).select(~test).scaled(2.0)
    judged = simulated(read_truth(options.data, luminosity_ifb=140.0)).select(test).scaled(2.0)
    trained = fit_ratios(training, config=config, model=MODEL, folder=options.work, progress=report)
    estimated = trained.log_ratio(feature_matrix(judged.observables, FEATURES))
    exact = exact_log_ratios(truth, test, trained, training.yields)
    reference = judged.weights / judged.yields @ np.array([trained.ensemble.mixture.reference_fractions()[p] for p in PROCESSES])
    everything = simulated(read_truth(options.data, luminosity_ifb=140.0)).yields
    document: dict[str, Any] = {"labels": options.labels, "training": len(training), "test": len(judged)}
    for name, yields in (("all", everything), ("test", judged.yields)):
        fits = compare(estimated + np.log(training.yields), exact + np.log(training.yields), judged, yields)
        at_one = fits[MU.index(1.0)]
        print(f"\nRates of {name} events")
        print_table(list(fits[0]), [list(row.values()) for row in fits])
        share, shift = at_one["estimated_t0"] / at_one["exact_t0"], at_one["estimated_mu_hat"] - at_one["exact_mu_hat"]
        print(f"mu = 1: t(0) is {share:.4f} of the exact value on the same {len(judged)} events, the best fit {shift:+.3f} away")
        document[f"fits_rates_of_{name}"] = fits
    accuracy = per_event(estimated, exact, reference)
    print("\nlog p_j / p_ref event by event: |estimated - exact|, and |mean estimated / mean exact - 1| in bins of 1 % of the reference")
    print_table(["process", *next(iter(accuracy.values()))], [[name, *row.values()] for name, row in accuracy.items()])
    print_json(document | {"accuracy": accuracy})


def report(stage: str, done: float, total: float) -> None:
    """Print whole steps only."""
    if done == int(done):
        print(f"{stage}: {done:.0f} of {total:.0f}", flush=True)


if __name__ == "__main__":
    main()
