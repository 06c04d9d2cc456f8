"""Networks that know no more of an event than the sample it comes from, against the densities in closed form of `toy`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.unit.ratios.toy import MODEL, MU, NOISE, PROCESSES, densities, exact_log_ratios
from toolkit.config import RatioConfig
from toolkit.errors import PhysicsDomainError
from toolkit.model import Model, ModelParameter, Process, Sample, learned_densities
from toolkit.ratios import fit_ratios, load_ratios
from toolkit.ratios.heads import density_weights
from toolkit.ratios.losses import source_loss
from toolkit.ratios.structure import EventClass, Mixture, Source
from toolkit.ratios.targets import describe_mixture, make_targets
from toolkit.weights import SimulatedEvents

N = 40_000
SEPARATE = Model((MU,), MODEL.processes, (*(Sample(n, "gg", n, (n,)) for n in PROCESSES[:3]), Sample("b", "b", "b", ("b",))))
CONFIG = RatioConfig(
    features=("x",),
    fold_beam_axis=False,
    hidden=(32, 32),
    epochs=15,
    batch_size=1024,
    learning_rate=1e-2,
    calibration_mu=(0.0, 0.5, 1.0),
    seed=3,
)


def separate_toy(n, seed):
    """n events of each sample, uniform in the hidden z; each knows the weight of its own density."""
    rng = np.random.default_rng(seed)
    x, weights = [], np.zeros((4 * n, 4))
    for k in range(3):
        z = rng.uniform(-1.0, 1.0, n)
        x.append(z + NOISE * rng.normal(size=n))
        weights[k * n : (k + 1) * n, k] = 40.0 * densities(z)[k] / n
    x.append(rng.normal(0.0, 1.2, n))
    weights[3 * n :, 3] = 100.0 / n
    return SimulatedEvents(
        processes=PROCESSES,
        event_id=np.arange(4 * n, dtype=np.uint64) + np.uint64(10**6 * seed),
        sample_index=np.repeat(np.arange(4), n),
        samples=PROCESSES,
        observables={"x": np.concatenate(x)},
        weights=weights,
        benchmarks=PROCESSES[:3],
        benchmark_weights=weights[:, :3].copy(),
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    return folder, fit_ratios(separate_toy(N, 1), config=CONFIG, model=SEPARATE, folder=folder)


def test_sources_and_their_log_ratios_by_hand():
    """At shares 1/2 and coherence c: S = 1/(2 kappa), B = 1/2, SBI = S + B + 2 c sqrt(S B), SBI at mu = 4 = 4 S + B + 4 c sqrt(S B)."""
    gg = EventClass("gg", ("S", "SBI", "B"), (10.0, 90.0, 100.0), kappas=(10.0, 1.0), reference=1)
    four = Source("SBI4", 0, (4.0, 2.0, 1.0))
    mixture = Mixture(
        (gg, EventClass("q", ("q",), (50.0,))),
        (Source("S", 0, (1.0, 0.0, 0.0)), Source("B", 0, (0.0, 0.0, 1.0)), four, Source("q", 1, (1.0,))),
    )
    v, logit, c = 0.4, 0.3, np.tanh(0.4)
    heads = torch.tensor([[logit, 0.0, v]], dtype=torch.float64)
    s, b = 0.05, 0.5
    expected = 4.0 * s + b + 4.0 * c * np.sqrt(s * b)
    yields = np.array([10.0, 100.0, 4.0 * 10.0 + 100.0 + 2.0 * (90.0 - 110.0)])
    wanted = [*np.log(np.array([s, b, expected]) * 200.0 / yields), logit]
    found = mixture.source_log_ratios(heads)[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    labels = torch.tensor([[0.0, 0.0, 2.0, 0.0]], dtype=torch.float64)
    assert source_loss(heads, labels, mixture).item() == pytest.approx(-2.0 * (wanted[2] - np.logaddexp.reduce(wanted)), rel=1e-12)


def test_labels_are_balanced_and_moments_are_sums_over_samples():
    events = separate_toy(2000, 4)
    mixture = describe_mixture(events, SEPARATE)
    assert [s.name for s in mixture.sources] == list(PROCESSES)
    assert mixture.sources[1].products == (1.0, 1.0, 1.0)
    targets = make_targets(events, mixture)
    np.testing.assert_allclose(targets.sources.sum(dim=0), len(events) / 4, rtol=1e-12)
    kappa, h = mixture.classes[0].kappas[0], np.cos(events.observables["x"])
    scale = len(events) / 2 / mixture.class_yields[0]
    sums = [w @ h for w in events.weights.T]
    assert targets.weight[targets.label == 0].numpy() @ h[:6000] == pytest.approx(scale * (kappa * sums[0] + sums[2]), rel=1e-9)
    assert targets.moment(0).numpy() @ h == pytest.approx(scale * kappa * sums[0], rel=1e-9)
    assert targets.moment(1).numpy() @ h == pytest.approx(scale * (sums[1] - sums[0] - sums[2]), rel=1e-9)


def test_classifiers_get_the_weights_of_the_samples():
    """Each density is its own sample: for estimators that learn one density at a time."""
    events = separate_toy(500, 6)
    mixture = describe_mixture(events, SEPARATE)
    found = density_weights(make_targets(events, mixture), mixture).numpy()
    np.testing.assert_allclose(found, events.weights / events.yields * len(events), atol=1e-9)


def test_ratios_agree_with_the_closed_form(trained):
    _, mixture = trained
    x = np.random.default_rng(8).uniform(-1.3, 1.3, 4000)
    fractions = mixture.ensemble.mixture.reference_fractions()
    exact = exact_log_ratios(x)
    reference = np.log(np.exp(exact) @ np.array([fractions[n] for n in PROCESSES]))
    error = mixture.log_ratio(x[:, None]) - (exact - reference[:, None])
    assert np.all(np.median(np.abs(error), axis=0) < 0.03), np.median(np.abs(error), axis=0)


def slope(mixture, events, densities_, value):
    """Expected slope of ln L along sqrt(mu) at a true value from signed sums over the samples, and the noise of the events."""
    f = np.array([value - value**0.5, value**0.5, 1.0 - value**0.5, 1.0])
    df = np.array([2.0 * value**0.5 - 1.0, 1.0, -1.0, 0.0])
    score = (densities_ @ df) / (densities_ @ f)
    weights = events.weights @ f
    return weights @ score - df @ np.array(mixture.yields), np.sqrt(((weights * score - events.weights @ df) ** 2).sum())


@pytest.mark.parametrize("value", [0.5, 1.0])
def test_expected_slopes_vanish_on_the_events_of_the_calibration(trained, value):
    """Of networks that did not train on them, at every value of `calibration_mu`: but for the move of the scores by the calibration."""
    _, mixture = trained
    structure, events = mixture.ensemble.mixture, separate_toy(N, 1)
    yields = np.array(structure.yields)
    bias, noise = slope(structure, events, np.exp(mixture.out_of_bag) * yields, value)
    before, _ = slope(structure, events, np.exp(mixture.before_calibration) * yields, value)
    assert abs(bias) < 0.02 * noise, (bias, noise)
    assert abs(bias) < 0.1 * abs(before), (bias, before)


@pytest.mark.parametrize("value", [0.25, 0.5, 1.0, 2.0])
def test_expected_slopes_vanish_on_new_events(trained, value):
    _, mixture = trained
    structure, fresh = mixture.ensemble.mixture, separate_toy(N, 5)
    ratios = np.exp(mixture.log_ratio(fresh.observables["x"][:, None]))
    bias, noise = slope(structure, fresh, ratios * np.array(structure.yields), value)
    assert abs(bias) < 3.0 * 2**0.5 * noise


def test_density_is_positive_at_every_parameter_point(trained):
    _, mixture = trained
    x = np.linspace(-1.6, 1.6, 300)
    found = np.exp(mixture.log_ratio(x[:, None])) * np.array(mixture.ensemble.mixture.yields)
    points = np.linspace(0.0, 6.0, 500)[:, None]
    assert np.all(found @ SEPARATE.coefficients().values(points).T > 0)


def test_it_is_read_again_bit_for_bit(trained):
    folder, mixture = trained
    x = np.linspace(-1.0, 1.0, 50)[:, None]
    np.testing.assert_array_equal(
        load_ratios(folder, config=CONFIG, training=separate_toy(N, 1), model=SEPARATE).log_ratio(x), mixture.log_ratio(x)
    )


def test_a_negative_weight_is_no_label():
    events = separate_toy(100, 2)
    known = events.benchmark_weights.copy()
    known[3, 0] = -1.0
    events = replace(events, benchmark_weights=known)
    with pytest.raises(PhysicsDomainError, match="of sample S"):
        make_targets(events, describe_mixture(events, SEPARATE))


def test_three_amplitudes_have_labels_of_any_benchmarks():
    """Soft labels of all sources at one event: the loss is lowest where the heads are those of its own matrix."""
    three = Process.build(
        "eft",
        {"t": "c_t", "g": "c_g", "b": "1"},
        {"T": [1, 0, 0], "G": [0, 1, 0], "B": [0, 0, 1], "TG": [1, 1, 0], "TB": [2, 0, 1], "GB": [0, 1, 1]},
    )
    model = Model(
        (ModelParameter("c_t", range=(-3.0, 3.0)), ModelParameter("c_g", range=(-3.0, 3.0))),
        (three, Process.build("q", {"q": "1"})),
        (*(Sample(b.name, "eft", b.name, (b.name,)) for b in three.benchmarks), Sample("q", "q", "q", ("q",))),
    )
    a = np.array([[1.0, 0.4, -0.6], [0.2, -0.7, 0.5]])
    matrix = np.einsum("pk,pl->kl", a, a)
    vectors = np.array([b.vector for b in three.benchmarks])
    own = np.einsum("bk,kl,bl->b", vectors, matrix, vectors)
    densities_of = np.array([np.einsum("k,kl,l", v, matrix, v) for v in ([1, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 0], [0, 1, 1], [0, 0, 1])])
    weights = np.zeros((2, 7))
    weights[0, :6], weights[1, 6] = densities_of, 3.0
    names = (*(f for f in ("T", "TG", "eft_tb", "G", "GB", "B")), "q")
    events = SimulatedEvents(
        names,
        np.arange(2, dtype=np.uint64),
        np.array([0, 1]),
        ("eft", "q"),
        {},
        weights,
        benchmarks=three.benchmark_names,
        benchmark_weights=np.stack([own, np.zeros(6)]),
    )
    mixture = describe_mixture(events, model)
    heads = torch.zeros(1, mixture.n_heads, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[1.0] * 6 + [1.0]], dtype=torch.float64)
    optimiser = torch.optim.LBFGS([heads], max_iter=500, line_search_fn="strong_wolfe", tolerance_change=1e-14, tolerance_grad=1e-12)

    def closure():
        optimiser.zero_grad()
        loss = source_loss(heads, labels, mixture)
        loss.backward()
        return loss

    optimiser.step(closure)
    with torch.no_grad():
        products = torch.stack(mixture.products(heads, 0), dim=1)[0].numpy()
    c = mixture.classes[0]
    exact = np.array([matrix[k, m] * (1.0 if k == m else 2.0) for k, m in c.pairs]) / np.trace(np.diag(c.kappas) @ matrix)
    np.testing.assert_allclose(products, exact, rtol=1e-4)


def test_interference_alone_is_learned_as_part_of_the_sum():
    """S, I and B: |A_S + A_B|^2 is S + I + B, of weights of either sign, and its label has the sum of all three."""
    events = separate_toy(2000, 7)
    process = Process.build("gg", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "I": "S*B", "B": [0, 1]})
    model = Model(
        (MU,), (process, MODEL.processes[1]), (*(Sample(n, "gg", n, (n,)) for n in ("S", "I", "B")), Sample("b", "b", "b", ("b",)))
    )
    signed = events.benchmark_weights.copy()
    rows = slice(2000, 4000)
    s, sbi, b = densities(np.random.default_rng(3).uniform(-1.0, 1.0, 2000))
    signed[rows, 1] = 40.0 * (sbi - s - b) / 2000
    weights = np.column_stack([signed[:, 0], signed.sum(axis=1), signed[:, 2], events.weights[:, 3]])
    names = (*(d.name for d in learned_densities(process)), "b")
    separate = replace(events, processes=names, weights=weights, benchmarks=("S", "I", "B"), benchmark_weights=signed)
    mixture = describe_mixture(separate, model)
    assert [source.name for source in mixture.sources] == list(names)
    targets = make_targets(separate, mixture)
    np.testing.assert_allclose(targets.sources.sum(dim=0), len(events) / 4, rtol=1e-9)
    assert (targets.sources[rows, 1] < 0).any()
    spoiled = weights.copy()
    spoiled[0, 0] = -1.0
    with pytest.raises(PhysicsDomainError, match="weight -"):
        make_targets(replace(separate, weights=spoiled, benchmark_weights=np.column_stack([spoiled[:, 0], signed[:, 1:]])), mixture)
