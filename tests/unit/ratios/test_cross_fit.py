"""Cross-fitting with networks that are known: exact ratios, a distortion of every member, and a memory of the events that it trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.unit.ratios.toy import MODEL, exact_log_ratios, toy
from toolkit.errors import SchemaError
from toolkit.likelihood import UnbinnedLikelihood
from toolkit.ratios.calibration import fit_calibration, identity_calibration
from toolkit.ratios.cross_fit import cross_fit, members_without, require_pairs
from toolkit.ratios.directions import score_directions
from toolkit.ratios.ensemble import MixtureEnsemble, mean_heads
from toolkit.ratios.heads import heads_of_densities
from toolkit.ratios.plan import plan_members
from toolkit.ratios.targets import describe_mixture, make_targets
from toolkit.weights import assign_fold, hash_uniform

FOLDS = 4
PLAN = plan_members(n_folds=FOLDS)
COEFFICIENTS = ("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)", "1")
DIRECTIONS = score_directions(MODEL, (0.0, 0.3, 1.0, 2.0))
DISTORTION, MEMORY = 0.4, 0.3


class Known(nn.Module):
    """Exact heads, a distortion of its own, and what it remembers of the events of its folds."""

    def __init__(self, index, folds, memory):
        super().__init__()
        self.index, self.folds, self.memory = index, folds, memory

    def forward(self, z):
        heads, x, own, fold = z[:, :3], z[:, 3:4], z[:, 4:7], z[:, 7:8]
        seen = sum((fold == k).to(z.dtype) for k in self.folds)
        return heads + DISTORTION * torch.sin(2.0 * x + self.index) + self.memory * seen * own


class Simulation:
    """Events with known networks."""

    def __init__(self, n, seed):
        self.events = toy(n, seed)
        self.mixture = describe_mixture(self.events, MODEL)
        self.targets = make_targets(self.events, self.mixture)
        self.fold = assign_fold(self.events.event_id, n_folds=FOLDS, salt="h4l").astype(np.int64)
        x = self.events.observables["x"]
        heads = heads_of_densities(torch.from_numpy(exact_log_ratios(x)), self.mixture)
        own = torch.cat([self.targets.label.to(torch.float64)[:, None] - torch.sigmoid(heads[:, :1]), self.targets.composition], dim=1)
        fold = torch.from_numpy(self.fold)[:, None].to(torch.float64)
        self.z = torch.cat([heads, torch.from_numpy(x)[:, None], own, fold], dim=1)

    def ensemble(self, memory):
        members = [Known(k, m.folds, memory) for k, m in enumerate(PLAN)]
        return MixtureEnsemble(nn.Identity(), members, identity_calibration(self.mixture))

    def crossed(self, *, memory=MEMORY, counts=None):
        targets = self.targets if counts is None else self.targets.times(torch.from_numpy(counts))
        return cross_fit(self.ensemble(memory), PLAN, self.z, fold=self.fold, n_folds=FOLDS, targets=targets, directions=DIRECTIONS)

    def best_fit(self, log_ratios, mu, *, rows=slice(None), share=1.0, yields=None):
        """Fit the events of some rows, a share of all, at a truth; densities are those of all events at their yields."""
        root, whole = mu**0.5, self.events.yields
        nu = whole if yields is None else yields
        likelihood = UnbinnedLikelihood(
            log_ratios=log_ratios[rows] + np.log(whole / nu),
            weights=self.events.weights_at([mu - root, root, 1.0 - root, 1.0])[rows] / share,
            yields=nu,
            coefficients=COEFFICIENTS,
            parameters=("mu",),
            bounds={"mu": (0.0, 6.0)},
        )
        return likelihood.fit().parameters["mu"]

    def hold_out(self, mu):
        """Fit two fifths of the events with the calibration and the yields of the others."""
        test = hash_uniform(self.events.event_id, salt="h4l") < 0.4
        training = self.events.select(~test).scaled(1.0 / 0.6)
        unseen = (~member.saw(len(test), fold=self.fold) for member in PLAN)
        heads = mean_heads(self.ensemble(0.0), self.z, unseen)
        targets = make_targets(training, self.mixture)
        calibration = fit_calibration(heads[torch.from_numpy(~test)], targets, mixture=self.mixture, directions=DIRECTIONS)
        logs = self.mixture.log_ratios(calibration(heads)).numpy()
        return self.best_fit(logs, mu, rows=test, share=0.4, yields=training.yields)


@pytest.fixture(scope="module")
def simulation():
    return Simulation(3000, seed=4)


def test_a_member_for_every_two_folds():
    require_pairs(PLAN, FOLDS)
    for plan in (plan_members(2, n_folds=FOLDS), plan_members(n_folds=FOLDS, n_trained=3)):
        with pytest.raises(SchemaError, match="train_folds"):
            require_pairs(plan, FOLDS)


def test_no_member_that_saw_an_event_has_a_part_in_its_density(simulation):
    """What the members remember of their training events reaches neither the events themselves nor a calibration."""
    found, without = simulation.crossed(memory=5.0), simulation.crossed(memory=0.0)
    np.testing.assert_allclose(found.out_of_fold, without.out_of_fold, rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(found.in_calibration, without.in_calibration, rtol=0.0, atol=1e-12)


def test_an_event_has_no_part_in_the_calibration_of_its_own_density(simulation):
    found = simulation.crossed()
    for k in range(FOLDS):
        inside = simulation.fold == k
        changed = simulation.crossed(counts=np.where(inside & (simulation.events.observables["x"] > 0.0), 1.5, 1.0))
        np.testing.assert_allclose(changed.out_of_fold[inside], found.out_of_fold[inside], rtol=0.0, atol=1e-12)
        assert np.all(np.abs(changed.out_of_fold[~inside] - found.out_of_fold[~inside]).max(axis=1) > 1e-6)


def test_exported_ensembles_give_the_density_of_their_own_fold(simulation):
    found = simulation.crossed()
    for k, ensemble in enumerate(found.without):
        assert len(ensemble.members) == len(members_without(PLAN, k)) == 3
        inside = simulation.fold == k
        with torch.no_grad():
            np.testing.assert_allclose(ensemble(simulation.z[torch.from_numpy(inside)])[0].numpy(), found.out_of_fold[inside], atol=1e-12)


def test_a_cross_fit_finds_the_truth_where_one_division_and_networks_that_saw_the_event_do_not():
    """Root mean square of the distances of best fits from the truth, with distorted networks that remember their training events."""
    away: dict[str, list[float]] = {"cross-fit": [], "hold-out": [], "own networks": []}
    for seed in (4, 5, 6):
        simulation = Simulation(3000, seed)
        crossed = simulation.crossed(memory=0.6)
        own = np.empty_like(crossed.out_of_fold)
        for k in range(FOLDS):
            inside = simulation.fold == k
            with torch.no_grad():
                own[inside] = crossed.without[(k + 1) % FOLDS](simulation.z[torch.from_numpy(inside)])[0].numpy()
        for mu in (1.0, 1.7, 3.0):
            away["cross-fit"].append(simulation.best_fit(crossed.out_of_fold, mu) - mu)
            away["hold-out"].append(simulation.hold_out(mu) - mu)
            away["own networks"].append(simulation.best_fit(own, mu) - mu)
    width = {name: float(np.sqrt(np.mean(np.square(values)))) for name, values in away.items()}
    assert width["cross-fit"] < 0.1
    assert width["hold-out"] > 3.0 * width["cross-fit"]
    assert width["own networks"] > 3.0 * width["cross-fit"]
