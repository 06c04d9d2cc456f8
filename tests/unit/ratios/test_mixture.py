"""The trained ensemble: near the exact ratios, closing, reproducible, resumable, honest about who saw which event."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import toolkit.ratios.learners.mixture as mixture_module
from tests.unit.ratios.conftest import QUICK
from tests.unit.ratios.toy import MODEL, toy
from toolkit.errors import FitError, SchemaError
from toolkit.ratios import feature_matrix, fit_ratios
from toolkit.ratios.ensemble import mean_heads
from toolkit.ratios.plan import member_folds, plan_members
from toolkit.weights import assign_fold


def test_log_ratios_approach_the_exact_ones(trained, fresh, exact):
    rows = np.abs(fresh.observables["x"]) < 1.0
    estimated = trained.log_ratio(feature_matrix(fresh.observables, ("x", "y")))[rows]
    truth = exact(fresh.observables["x"][rows])
    for a, b, tolerance in ((0, 3, 0.06), (1, 3, 0.06), (2, 3, 0.06), (0, 2, 0.06)):
        difference = (estimated[:, a] - estimated[:, b]) - (truth[:, a] - truth[:, b])
        assert np.median(np.abs(difference)) < tolerance


def test_reference_normalisation_holds_on_fresh_events(trained, fresh):
    ratios = np.exp(trained.log_ratio(feature_matrix(fresh.observables, ("x", "y"))))
    mixture = trained.ensemble.mixture
    fractions = mixture.reference_fractions()
    reference = sum(fractions[p] * fresh.weights[:, j] / fresh.yields[j] for j, p in enumerate(fresh.processes))
    for j in range(4):
        error = np.sqrt(np.sum((reference * (ratios[:, j] - 1.0)) ** 2))
        assert abs(reference @ ratios[:, j] - 1.0) < 4 * error + 2e-3


@pytest.mark.parametrize("truth", [0.3, 1.0, 1.7])
def test_asimov_closes_on_fresh_events(trained, fresh, truth):
    ratios = np.exp(trained.log_ratio(feature_matrix(fresh.observables, ("x", "y"))))
    yields = np.array(trained.ensemble.mixture.yields)
    grid = np.linspace(0.01, 4.0, 400)
    f = np.stack([grid - np.sqrt(grid), np.sqrt(grid), 1 - np.sqrt(grid), np.ones_like(grid)])
    root = np.sqrt(truth)
    data = fresh.weights_at([truth - root, root, 1 - root, 1.0])
    nll = yields @ f - data @ np.log((ratios * yields) @ f)
    assert abs(grid[np.argmin(nll)] - truth) < 0.12


def test_out_of_bag_heads_use_only_members_that_did_not_train_on_the_event(trained, training):
    x = torch.from_numpy(feature_matrix(training.observables, ("x", "y")))[:500]
    fold = torch.from_numpy(assign_fold(training.event_id, n_folds=4, salt="h4l"))[:500]
    heads = trained.ensemble.member_heads(x)
    got = mean_heads(trained.ensemble, x, (~member.saw(len(x), fold=fold.numpy()) for member in plan_members(n_folds=4)))
    for i in range(500):
        unseen = [m for m, folds in enumerate(member_folds(4)) if int(fold[i]) not in folds]
        assert len(unseen) == 3
        torch.testing.assert_close(got[i], heads[unseen, i].mean(dim=0))


def test_same_seed_same_networks_another_seed_others(small_sample, tmp_path):
    x = feature_matrix(small_sample.observables, ("x", "y"))[:100]
    runs = [
        fit_ratios(small_sample, config=config, model=MODEL, folder=tmp_path / str(i)).log_ratio(x)
        for i, config in enumerate((QUICK, QUICK, QUICK.model_copy(update={"seed": 4})))
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.max(np.abs(runs[0] - runs[2])) > 1e-3


def test_training_resumes_after_a_stop(small_sample, tmp_path, monkeypatch):
    complete = fit_ratios(small_sample, config=QUICK, model=MODEL, folder=tmp_path / "a")
    done = []
    original = mixture_module.train_member

    def stop_after_two(*args, **kwargs):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(kwargs["seed"])
        return original(*args, **kwargs)

    monkeypatch.setattr(mixture_module, "train_member", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        fit_ratios(small_sample, config=QUICK, model=MODEL, folder=tmp_path / "b")
    (tmp_path / "b" / "member_01.pt").write_bytes(b"truncated")
    trained = []
    monkeypatch.setattr(mixture_module, "train_member", lambda *a, **k: trained.append(k["seed"]) or original(*a, **k))
    resumed = fit_ratios(small_sample, config=QUICK, model=MODEL, folder=tmp_path / "b")
    assert len(trained) == 5
    assert done[0] not in trained
    np.testing.assert_array_equal(resumed.out_of_bag, complete.out_of_bag)


def test_other_events_or_settings_train_again(small_sample, tmp_path, monkeypatch):
    fit_ratios(small_sample, config=QUICK, model=MODEL, folder=tmp_path)
    count = []
    original = mixture_module.train_member
    monkeypatch.setattr(mixture_module, "train_member", lambda *a, **k: count.append(1) or original(*a, **k))
    fit_ratios(small_sample, config=QUICK, model=MODEL, folder=tmp_path)
    assert not count
    fit_ratios(small_sample, config=QUICK.model_copy(update={"epochs": 3}), model=MODEL, folder=tmp_path)
    assert len(count) == 6
    fit_ratios(toy(4000, seed=9), config=QUICK, model=MODEL, folder=tmp_path)
    assert len(count) == 12


def test_early_stopping_keeps_the_best_epoch(small_sample, tmp_path):
    config = QUICK.model_copy(update={"epochs": 40, "composition_epochs": 40, "patience": 2, "learning_rate": 0.1})
    trained = fit_ratios(small_sample, config=config, model=MODEL, folder=tmp_path)
    networks = [history for member in trained.history for history in member]
    assert {h.network for h in networks} == {"classes", "composition"}
    for history in networks:
        assert history.best_epoch == int(np.argmin(history.validation))
        assert len(history.validation) == len(history.train) <= history.best_epoch + 1 + 2
    assert any(len(h.train) < 40 for h in networks)


def test_progress_reaches_its_total_and_never_falls(small_sample, tmp_path):
    calls = []
    fit_ratios(small_sample, config=QUICK, model=MODEL, folder=tmp_path, progress=lambda *c: calls.append(c))
    for label, total in (("training", 6.0), ("calibration", 2.0)):
        done = [c for c in calls if c[0].startswith(label)]
        assert [c[1] for c in done] == sorted(c[1] for c in done)
        assert done[-1] == (label, total, total)


def test_too_few_events_are_refused(tmp_path):
    with pytest.raises(FitError, match=r"2 batches of 256[\s\S]*batch_size"):
        fit_ratios(toy(300, seed=1), config=QUICK, model=MODEL, folder=tmp_path)


def test_unknown_feature_is_refused(small_sample, tmp_path):
    config = QUICK.model_copy(update={"features": ("x", "m4l")})
    with pytest.raises(SchemaError, match="m4l"):
        fit_ratios(small_sample, config=config, model=MODEL, folder=tmp_path)
