"""The parameterisation of the mixture: which densities there are and how a network's outputs (heads) encode them.

Two amplitudes interfere (signal S, background B, both together SBI = S + I + B) and further backgrounds do not.
With kappa > 0 the interfering events form one class G = kappa S + B; the networks separate the classes G, b_1, b_2, ...
and split G further. For n_b backgrounds the heads are, per event,

    h[0 .. n_b - 1]   log (p_b / p_G), the class logits
    h[n_b]            logit of the signal's share kappa S / G
    h[n_b + 1]        artanh of the coherence c = I / (2 sqrt(S B))

|c| < 1 is the Cauchy-Schwarz bound of averaged interference, so mu S + sqrt(mu) I + B is positive at every mu and every
event, whatever the network says: a likelihood built on these densities cannot meet a logarithm of a negative number.
The interference is an output of its own and never the difference of separately trained ratios.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import log_softmax, logsigmoid

TINY = 1e-30
"""Floor of the share of SBI inside G, reached only where interference is exactly total (c = -1 and S = B)."""


@dataclass(frozen=True)
class Mixture:
    """Names and expected yields of the densities.

    Attributes:
        signal: Name of S.
        interfering: Name of SBI.
        background: Name of B.
        backgrounds: Names of the samples that do not interfere.
        yields: Expected events (S, SBI, B, *backgrounds) that define the densities' normalisation.
        kappa: Weight of S in the class G.

    Examples:
        >>> mixture = Mixture("S", "SBI", "B", ("qqZZ",), yields=(10.0, 90.0, 100.0, 500.0), kappa=10.0 / 3.0)
        >>> mixture.processes, mixture.n_heads, [round(n, 3) for n in mixture.class_yields]
        (('S', 'SBI', 'B', 'qqZZ'), 3, [133.333, 500.0])
        >>> {name: round(share, 3) for name, share in mixture.reference_fractions().items()}
        {'S': 0.125, 'SBI': 0.0, 'B': 0.375, 'qqZZ': 0.5}
    """

    signal: str
    interfering: str
    background: str
    backgrounds: tuple[str, ...]
    yields: tuple[float, ...]
    kappa: float

    @property
    def processes(self) -> tuple[str, ...]:
        """All densities in the order of the outputs."""
        return (self.signal, self.interfering, self.background, *self.backgrounds)

    @property
    def n_heads(self) -> int:
        """Number of outputs of a network."""
        return len(self.backgrounds) + 2

    @property
    def class_yields(self) -> tuple[float, ...]:
        """Expected events of the classes (G, *backgrounds)."""
        return (self.kappa * self.yields[0] + self.yields[2], *self.yields[3:])

    @property
    def reference(self) -> str:
        """The reference density in words: every class with equal probability."""
        gg = f"({self.kappa:g} {self.signal} + {self.background})"
        return f"equal mixture of the normalised densities of {', '.join([gg, *self.backgrounds])}"

    def reference_fractions(self) -> dict[str, float]:
        """Probability of each process in the reference density; they sum to 1."""
        n = len(self.backgrounds) + 1
        total = self.class_yields[0]
        shares = {self.signal: self.kappa * self.yields[0] / total / n, self.interfering: 0.0, self.background: self.yields[2] / total / n}
        return shares | dict.fromkeys(self.backgrounds, 1.0 / n)

    def class_logits(self, heads: torch.Tensor) -> torch.Tensor:
        """Return log p_class up to a common constant, shape (n, 1 + n_b), G first."""
        return torch.cat([torch.zeros_like(heads[:, :1]), heads[:, : len(self.backgrounds)]], dim=1)

    def signal_logit(self, heads: torch.Tensor) -> torch.Tensor:
        """Return the logit of kappa S / G, shape (n,); the last two columns of `heads` suffice."""
        return heads[:, -2]

    def interference_share(self, heads: torch.Tensor) -> torch.Tensor:
        """Return I / G, shape (n,); the last two columns of `heads` suffice."""
        u, v = heads[:, -2], heads[:, -1]
        share: torch.Tensor = torch.tanh(v) * torch.sqrt(torch.sigmoid(u) * torch.sigmoid(-u)) * (2.0 / self.kappa**0.5)
        return share

    def log_ratios(self, heads: torch.Tensor) -> torch.Tensor:
        """Compute log p_j / p_ref of every process (numerator p_j), shape (n, n_processes)."""
        classes = log_softmax(self.class_logits(heads), dim=1) + torch.log(torch.tensor(float(len(self.class_yields)), dtype=heads.dtype))
        u = self.signal_logit(heads)
        a, b = torch.sqrt(torch.sigmoid(u) / self.kappa), torch.sqrt(torch.sigmoid(-u))
        # S + I + B as (sqrt S - sqrt B)^2 + 2 sqrt(S B) (1 + c): no digits cancel where the interference is nearly total.
        inside = (a - b) ** 2 + 4.0 * a * b * torch.sigmoid(2.0 * heads[:, -1])
        gg = torch.stack([logsigmoid(u), torch.log(inside.clamp_min(TINY)), logsigmoid(-u)], dim=1)
        offset = torch.log(torch.tensor([self.class_yields[0] / n for n in self.yields[:3]], dtype=heads.dtype))
        offset = offset - torch.log(torch.tensor([self.kappa, 1.0, 1.0], dtype=heads.dtype))
        return torch.cat([classes[:, :1] + gg + offset, classes[:, 1:]], dim=1)

    def densities(self, heads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return S, I, B and the sum of the other backgrounds, each relative to G and at its yield, each (n,)."""
        u = self.signal_logit(heads)
        others = torch.zeros_like(u)
        for k, n in enumerate(self.class_yields[1:]):
            others = others + torch.exp(heads[:, k]) * (n / self.class_yields[0])
        return torch.sigmoid(u) / self.kappa, self.interference_share(heads), torch.sigmoid(-u), others

    def scores(self, heads: torch.Tensor, mu: tuple[float, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute d log p / d sqrt(mu) of the unnormalised total density p = mu S + sqrt(mu) I + B + sum b.

        Args:
            heads: Outputs of a network, shape (n, n_heads).
            mu: Values of the signal strength, all >= 0.

        Returns:
            The score (2 sqrt(mu) S + I) / p, and its product with the interfering part (mu S + sqrt(mu) I + B) / G; one column per
            value, both (n, n_mu).
        """
        s, i, b, others = self.densities(heads)
        scores, products = [], []
        for root in (m**0.5 for m in mu):
            interfering = root**2 * s + root * i + b
            scores.append((2.0 * root * s + i) / (interfering + others))
            products.append(interfering * scores[-1])
        return torch.stack(scores, dim=1), torch.stack(products, dim=1)
