"""The parameters of a network as two vectors, so that a step of the optimiser is a few long operations in place of many short ones."""

from __future__ import annotations

import torch
from torch import nn


class FlatParameters:
    """Two vectors, of the matrices and of the biases of a network; its parameters become views of them.

    Args:
        network: The network, on its device. Gradients of its parameters are added up in place, in those of the vectors.

    Attributes:
        matrices: Vector of the parameters with two axes or more, with its gradient; None where there are none.
        biases: The same of the others.

    Examples:
        >>> network = nn.Linear(2, 1)
        >>> flat = FlatParameters(network)
        >>> network(torch.ones(1, 2)).sum().backward()
        >>> flat.matrices.grad.tolist(), flat.biases.grad.tolist()
        ([1.0, 1.0], [1.0])
        >>> flat.release()
        >>> network.weight.grad is None
        True
    """

    def __init__(self, network: nn.Module) -> None:
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.matrices = _joined([p for p in self.parameters if p.ndim > 1])
        self.biases = _joined([p for p in self.parameters if p.ndim <= 1])

    def clear(self) -> None:
        """Set all gradients to zero."""
        for vector in (self.matrices, self.biases):
            if vector is not None and vector.grad is not None:
                vector.grad.zero_()

    def release(self) -> None:
        """Give every parameter memory of its own again, without a gradient."""
        for parameter in self.parameters:
            parameter.grad = None
            parameter.data = parameter.data.clone()


def _joined(parameters: list[nn.Parameter]) -> nn.Parameter | None:
    if not parameters:
        return None
    vector = nn.Parameter(torch.cat([p.detach().reshape(-1) for p in parameters]))
    vector.grad = torch.zeros_like(vector)
    place = 0
    for p in parameters:
        own = slice(place, place := place + p.numel())
        p.data = vector.data[own].view(p.shape)
        p.grad = vector.grad[own].view(p.shape)
    return vector
