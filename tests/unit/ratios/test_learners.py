"""Every estimator of densities on the toy with exact ratios: learned, positive, kept and read again."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pytest
import torch

from tests.unit.ratios.toy import MODEL, exact_log_ratios, toy
from toolkit.config import AnyRatioConfig, BitConfig, MulticlassConfig, PerProcessConfig, QuasiParametricConfig, RatioConfig
from toolkit.errors import MissingExtraError
from toolkit.ratios import FeatureMap, feature_matrix, fit_ratios, load_ratios
from toolkit.ratios.heads import density_weights, heads_of_densities
from toolkit.ratios.registry import ESTIMATORS
from toolkit.ratios.structure import EventClass, Mixture
from toolkit.ratios.targets import describe_mixture, make_targets
from toolkit.ratios.trainer import ignore_epoch

COMMON = {"features": ("x", "y"), "fold_beam_axis": False, "splits": {"folds": 2}, "seed": 3}
NETWORK = {"hidden": (24, 24), "epochs": 15, "batch_size": 256, "learning_rate": 1e-2}
CONFIGS = {
    "per_process": PerProcessConfig(estimator="per_process", **COMMON, **NETWORK),
    "multiclass": MulticlassConfig(estimator="multiclass", **COMMON, **NETWORK),
    "quasi_parametric": QuasiParametricConfig(estimator="quasi_parametric", **COMMON, **NETWORK),
    "bit": BitConfig(estimator="bit", trees=60, **COMMON),
}


@pytest.fixture(scope="module", params=CONFIGS)
def trained(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    training = toy(12_000, seed=1)
    config: AnyRatioConfig = CONFIGS[request.param]
    return fit_ratios(training, config=config, model=MODEL, folder=folder), folder, training, config


def test_ratios_are_learned(trained):
    model, *_ = trained
    fresh = toy(8000, seed=2)
    x = feature_matrix(fresh.observables, ("x", "y"))
    exact = exact_log_ratios(x[:, 0])
    shares = np.array([model.reference_mixture[name] for name in model.numerators])
    exact = exact - np.log(np.exp(exact) @ shares)[:, None]
    got = model.log_ratio(x)
    assert np.median(np.abs(got - exact)) < 0.12
    error = np.abs(np.exp(got) - np.exp(exact)).mean(axis=0)
    assert np.all(error < 0.25 * np.abs(np.exp(exact) - 1.0).mean(axis=0)), error


def test_no_density_is_negative_at_any_parameter_point(trained):
    model, *_ = trained
    x = feature_matrix(toy(4000, seed=5).observables, ("x", "y"))
    rho = np.exp(model.log_ratio(x)) * np.array(model.module.mixture.yields)
    for mu in np.linspace(0.0, 9.0, 91):
        root = np.sqrt(mu)
        assert (rho @ [mu - root, root, 1.0 - root, 0.0]).min() > 0.0


def test_it_comes_back_to_the_last_bit_and_resumes(trained):
    model, folder, training, config = trained
    x = feature_matrix(training.observables, ("x", "y"))[:200]
    loaded = load_ratios(folder, config=config, training=training, model=MODEL)
    np.testing.assert_array_equal(loaded.log_ratio(x), model.log_ratio(x))
    again = fit_ratios(training, config=config, model=MODEL, folder=folder)
    np.testing.assert_array_equal(again.out_of_bag, model.out_of_bag)
    assert again.history == model.history
    assert loaded.estimator == config.estimator


def test_densities_that_fit_each_other_become_heads_and_others_the_nearest():
    gg = EventClass("gg", ("A", "AB", "AC", "B", "BC", "C"), (10.0, 30.0, 25.0, 12.0, 20.0, 9.0), kappas=(1.3, 1.0, 0.7), reference=1)
    mixture = Mixture((gg, EventClass("qqZZ", ("qqZZ",), (500.0,))))
    heads = torch.randn(200, mixture.n_heads, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).clamp(-2.5, 2.5)
    torch.testing.assert_close(heads_of_densities(mixture.log_ratios(heads), mixture), heads, rtol=1e-6, atol=1e-6)
    wrong = mixture.log_ratios(heads)
    wrong[:, 1] += 5.0  # |A + B|^2 far above (|A| + |B|)^2
    found = mixture.log_ratios(heads_of_densities(wrong, mixture))
    assert torch.isfinite(found).all()
    bound = torch.log((torch.exp(found[:, 0] / 2) * 10**0.5 + torch.exp(found[:, 3] / 2) * 12**0.5) ** 2 / 30.0)
    assert (found[:, 1] <= bound + 1e-9).all()
    torch.testing.assert_close(found[:, [0, 3, 5, 6]], wrong[:, [0, 3, 5, 6]])


def test_total_interference_keeps_its_digits_in_single_precision():
    """The mean of five heads at the bound, in either precision."""
    gg = EventClass("gg", ("S", "SBI", "B"), (10.0, 90.0, 100.0), kappas=(10.0, 1.0), reference=1)
    mixture = Mixture((gg, EventClass("qqZZ", ("qqZZ",), (500.0,))))
    generator = torch.Generator().manual_seed(2)
    members = [torch.randn(2000, mixture.n_heads, dtype=torch.float64, generator=generator) * 0.3 for _ in range(5)]
    for heads in members:
        heads[:, -1] = -12.0  # S and B cancel in every member but for their sizes
    found = [
        torch.stack([heads_of_densities(mixture.log_ratios(h).to(dtype), mixture) for h in members])
        for dtype in (torch.float32, torch.float64)
    ]
    assert float((found[0].double().mean(dim=0) - found[1].mean(dim=0)).abs().max()) < 2e-5


def test_weights_of_densities_are_those_of_the_events():
    training = toy(500, seed=3)
    mixture = describe_mixture(training, MODEL)
    got = density_weights(make_targets(training, mixture), mixture).numpy()
    columns = [training.processes.index(name) for name in mixture.processes]
    expected = training.weights[:, columns]
    np.testing.assert_allclose(got, expected / expected.mean(axis=0), rtol=1e-9, atol=1e-12)


def test_five_layers_of_a_thousand_nodes_train_an_epoch(tmp_path):
    """The size of the published networks: it validates, trains, and is written and read like any other."""
    section = {"hidden": [1000] * 5, "activation": "swish", "epochs": 1, "composition_epochs": 1, "largest_batch_size": 512}
    config = RatioConfig(**{**COMMON, "batch_size": 256, **section})
    assert config.activation == "silu"
    training = toy(1200, seed=1)
    model = fit_ratios(training, config=config, model=MODEL, folder=tmp_path)
    assert sum(p.numel() for p in model.module.members[0].classes.parameters()) > 4_000_000
    x = feature_matrix(training.observables, ("x", "y"))[:50]
    np.testing.assert_array_equal(load_ratios(tmp_path, config=config).log_ratio(x), model.log_ratio(x))


def test_a_missing_library_of_trees_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(MissingExtraError, match="h4l-toolkit\\[trees\\]"):
        fit_ratios(toy(600, seed=1), config=CONFIGS["bit"], model=MODEL, folder=tmp_path)


class Stopped(Exception):
    """The training was interrupted."""


@pytest.mark.parametrize("name", ["per_process", "multiclass", "quasi_parametric"])
def test_a_stopped_member_goes_on_within_and_between_its_networks(name, tmp_path):
    config = CONFIGS[name].model_copy(update={"epochs": 3})
    training = toy(1500, seed=1)
    mixture = describe_mixture(training, MODEL)
    x = torch.from_numpy(feature_matrix(training.observables, ("x", "y")))
    feature_map = FeatureMap.fitted(("x", "y"), x, fold=False)
    train = partial(
        ESTIMATORS[name].learner.train,
        feature_map(x).float(),
        make_targets(training, mixture).to(torch.float32),
        feature_map=feature_map,
        mixture=mixture,
        config=config,
        seed=5,
    )
    complete, history = train(on_progress=ignore_epoch, checkpoint=tmp_path / "complete.pt")
    calls = []

    def stop_at(number):
        def report(done, _):
            calls.append(done)
            if len(calls) == number:
                raise Stopped

        return report

    for number in (2, 3) if name == "per_process" else (2,):
        with pytest.raises(Stopped):
            train(on_progress=stop_at(number), checkpoint=tmp_path / "stopped.pt")
        calls.clear()
    resumed, again = train(on_progress=ignore_epoch, checkpoint=tmp_path / "stopped.pt")
    assert again == history
    for one, other in zip(complete.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)
