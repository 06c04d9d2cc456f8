"""The optimiser takes the steps of torch's own, to the last bit, on parameters that are views of two vectors."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from toolkit.ratios.adamw import AdamW
from toolkit.ratios.flat_parameters import FlatParameters
from toolkit.ratios.schedules import Schedule, TrainingSettings, make_optimiser

STEPS = 40


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(19, 64), nn.SiLU(), nn.Linear(64, 33), nn.SiLU(), nn.Linear(33, 2))


def gradients(model: nn.Module) -> None:
    """Add the gradients of a loss to those that there are."""
    x = torch.linspace(-1.0, 1.0, 19 * 50).reshape(50, 19)
    (model(x) ** 2).mean().backward()


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_steps_are_those_of_torch(decay: float) -> None:
    own, other = network(), network()
    pairs = [
        (model, kind([{"params": list(model.parameters()), "weight_decay": decay}], lr=1e-2))
        for model, kind in ((own, AdamW), (other, torch.optim.AdamW))
    ]
    schedules = [torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=STEPS) for _, optimiser in pairs]
    for _ in range(STEPS - 1):
        for (model, optimiser), schedule in zip(pairs, schedules, strict=True):
            optimiser.zero_grad()
            gradients(model)
            optimiser.step()
            schedule.step()
    for a, b in zip(own.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_parameter_without_a_gradient_stays() -> None:
    x = nn.Parameter(torch.ones(2))
    AdamW([{"params": [x], "weight_decay": 0.5}], lr=0.1).step()
    assert x.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", ["adamw", "nadam"])
def test_vectors_move_as_parameters_do(name: str) -> None:
    """Matrices decay, biases do not; a vector in place of its parts changes the last digit at most."""
    settings = TrainingSettings(epochs=1, optimiser=name, weight_decay=0.3, learning_rate=1e-2)
    model, apart = network(), network()
    flat = FlatParameters(model)
    optimiser = make_optimiser(flat, settings)
    groups = [
        {"params": [p for p in apart.parameters() if (p.ndim > 1) == matrices], "weight_decay": 0.3 * matrices} for matrices in (1, 0)
    ]
    expected = torch.optim.AdamW(groups, lr=1e-2) if name == "adamw" else torch.optim.NAdam(groups, lr=1e-2, decoupled_weight_decay=True)
    schedules = [Schedule(o, settings, total=STEPS) for o in (optimiser, expected)]
    for _ in range(STEPS - 1):
        flat.clear()
        gradients(model)
        optimiser.step()
        expected.zero_grad()
        gradients(apart)
        expected.step()
        for schedule in schedules:
            schedule.after_step()
    flat.release()
    for a, b in zip(model.parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_released_parameters_have_their_own_memory() -> None:
    model = network()
    before = copy.deepcopy(model.state_dict())
    flat = FlatParameters(model)
    assert len({p.untyped_storage().data_ptr() for p in model.parameters()}) == 2
    flat.release()
    assert len({p.untyped_storage().data_ptr() for p in model.parameters()}) == 6
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
