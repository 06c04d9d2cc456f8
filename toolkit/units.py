"""Units used inside the toolkit: GeV, radians, pb, 1/fb. Multiply a number by its unit to convert it inwards."""

from __future__ import annotations

GEV = 1.0
MEV = 1e-3
TEV = 1e3
PB = 1.0
FB = 1e-3
IFB = 1.0
PB_IFB = 1e3
"""Events per (pb x 1/fb): a cross-section of 1 pb gives 1000 events in 1/fb."""

M_Z = 91.1876
"""Z boson mass in GeV, the value that defines the pairing."""
M_ELECTRON = 0.00051099895
M_MUON = 0.1056583755
