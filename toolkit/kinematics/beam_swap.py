"""What observables become when the two beams are exchanged, which two identical beams allow.

The exchange is the rotation of the event by pi about a transverse axis, here the x axis: y and z of every momentum change sign. An
observable says what it becomes, in the registry, as one of

    "even"        the same
    "odd"         the opposite: rapidities, cos_theta_star, differences of azimuths
    "half_turn"   an angle plus or minus pi: phi_1
    {NAME: c}     a sum of observables, each times c, where forward and backward are exchanged; modulo 2 pi for an angle
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

BeamSwap = Literal["even", "odd", "half_turn"] | Mapping[str, int]
"""What becomes of an observable when the beams are exchanged."""
