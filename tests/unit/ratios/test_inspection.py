"""In-sample and uncalibrated log ratios: against the members one by one."""

from __future__ import annotations

import numpy as np
import torch

from toolkit.ratios import feature_matrix
from toolkit.ratios.inspection import inspect_ensemble
from toolkit.ratios.plan import member_folds, plan_members
from toolkit.weights import assign_fold


def test_against_loop_over_members(quickly_trained, small_sample, fresh):
    x, y = (feature_matrix(events.observables, ("x", "y"))[:300] for events in (fresh, small_sample))
    folds = [assign_fold(events.event_id, n_folds=4, salt="h4l")[:300] for events in (fresh, small_sample)]
    found = inspect_ensemble(quickly_trained.ensemble, plan_members(), test=x, test_fold=folds[0], training=y, training_fold=folds[1])
    mixture, calibration = quickly_trained.ensemble.mixture, quickly_trained.ensemble.calibration
    with torch.no_grad():
        for rows, fold, got in ((x, folds[0], found.test_by_part), (y, folds[1], found.in_sample)):
            heads = quickly_trained.ensemble.member_heads(torch.from_numpy(rows))
            for i in range(0, 300, 7):
                seen = [m for m, trained_on in enumerate(member_folds(4)) if int(fold[i]) in trained_on]
                assert len(seen) == 3
                one = mixture.log_ratios(calibration(heads[seen, i].mean(dim=0)[None]))
                np.testing.assert_allclose(got[i], one[0].numpy(), rtol=1e-9)
        heads = quickly_trained.ensemble.member_heads(torch.from_numpy(x))
        np.testing.assert_allclose(found.before_calibration, mixture.log_ratios(heads.mean(dim=0)).numpy(), rtol=1e-9)
    assert np.abs(found.before_calibration - quickly_trained.log_ratio(x)).max() > 1e-4, "the calibration does something"


def test_in_sample_differs_from_out_of_bag(quickly_trained, small_sample):
    y = feature_matrix(small_sample.observables, ("x", "y"))
    fold = assign_fold(small_sample.event_id, n_folds=4, salt="h4l")
    found = inspect_ensemble(quickly_trained.ensemble, plan_members(), test=y[:10], test_fold=fold[:10], training=y, training_fold=fold)
    assert found.in_sample.shape == quickly_trained.out_of_bag.shape
    assert 1e-4 < np.median(np.abs(found.in_sample - quickly_trained.out_of_bag)) < 0.2
