"""Write the table of docs/observables.md from the registry: `python docs/make_observables_reference.py`.

The tests check that the file is current. The text around the table is written by hand, here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from toolkit.kinematics import OBSERVABLES, Observable

TARGET = Path(__file__).with_name("observables.md")
HEAD = r"""# Observables

The tables below are written by `docs/make_observables_reference.py` from the registry,
`toolkit.kinematics.OBSERVABLES`; do not edit them by hand.

Event tables, configs, histograms, ONNX files and plots use these names. Momenta and masses are in GeV, angles in
radians. The conventions of all angles are those of arXiv:1001.3396 and arXiv:1208.4018, see
`toolkit/kinematics/angles.py` and `vbf.py`. Z1 is the pair nearest to the Z mass unless `selection.z1` says
otherwise; `lep1` of a pair is the negative lepton and `lep2` the positive one. Jets are those that pass the
selection, hardest first. A value that does not exist (m_jj with one jet, an angle of a plane that is none) is null in
the event tables and NaN in memory.

## Choosing

`observables` in the config lists names and groups. Left empty it stands for the group `standard`; `all` is every
group but `columns`. Network features, histogram baselines and columns are written whether they are listed or not. An
observable that is named must exist in every sample; one that only belongs to a group is null where a sample has no
jets.

```yaml
observables: [standard, vbf, eta_j1]
```

## Columns of the ntuple

A number per event that the ntuple carries becomes an observable with its name under `columns`. `met` and `d_me` (a
matrix-element discriminant, which the column then replaces) are known; any other name brings its own unit, label and
plot range.

```yaml
columns:
  met: {branch: met_et, scale: 0.001}       # from MeV
  d_me: {branch: D_bkg_kin, missing: -999}  # -999 stands for a missing value
  bdt: {branch: BDT_score, range: [-1, 1], beam_swap: even}
```

## Matrix-element discriminant

The discriminant `d_me` = log10(P_H / (P_gg + 0.1 P_qq)) and the ratios `me_gg` = ln(P_gg / P_H), `me_box` = ln(P_box / P_H)
and `me_qq` = ln(P_qq / P_H) are computed from the momenta of the four leptons. P_H, P_gg, P_box and P_qq are differential
cross-sections of leading order at those momenta:

- P_H, gg → H* → ZZ → 4l: loops of top and bottom, propagators, decay (`toolkit/kinematics/matrix_elements.py`);
- P_qq, q qbar → 4l with Z, photon and singly resonant diagrams, with the luminosities of CTEQ6L1 for 13 TeV at the scale
  m4l / 2, both directions of the quark. Parton densities cancel between P_H, P_gg and P_box only;
- P_gg, gg → (H* →) ZZ → 4l with Higgs boson, box and interference, and P_box, gg → ZZ → 4l without Higgs boson: the
  coefficients of the 81 angular functions come from networks that were trained on exact values.

The three ratios are what a network of an analysis of such samples would otherwise have to learn from the angles; as features
they save it most of that ([The method](method.md#what-the-networks-read)).

Leptons of the two pairs count as different, so that 4e, 4mu and 2e2mu are computed alike; above the ZZ threshold the
interference of identical leptons is below 0.2 % in all but one of 1300 events of 4e and 4mu. For 200 < m4l < 2000 GeV and 40
< m_ll < 140 GeV; elsewhere the value is
missing, so that such events cannot be among those of networks that read them. `matrix_element_ratios` returns the ratios.

On true leptons P_qq / P_H, fits to the table of CTEQ6L1 included (`toolkit/kinematics/parton_densities.py`), agrees with the exact
ratio to 0.04 % for half of the events and to 0.08 % for 99 % of them. Of that 0.04 % are a constant; around it the standard deviation is
0.020 % for 2e2mu, where the largest difference is 0.27 %, and 0.058 % for 4e and 4mu. The 4e and 4mu events that are off by
more than 0.2 %, one in 1300, have
two leptons of different pairs within a few GeV: there identical leptons interfere through a photon, by 18 % in the largest
case. P_gg / P_H agrees to 2.0 %, half of the events to 0.7 %, and so does P_box / P_H. `python -m
benchmarks.matrix_elements` makes networks and fits, and checks them.

-2 Delta lnL of mu = 0 for mu = 1 at 140/fb: 1.44 from true leptons in 30 bins (exact densities 1.44, m4l 0.71, exact ratio
1.78), and 1.06 from reconstructed ones with the edges of `examples/offshell4l.yaml` (m4l 0.54). The report of that
example has it beside the other methods:

| method | t(0) | lower bound at mu = 1 against 0 | closure |
|---|---|---|---|
| m4l | 0.53 ± 0.01 | 0.535 ± 0.007 | compatible |
| `d_me` | 1.03 ± 0.02 | 1.047 ± 0.023 | compatible |
| score | 1.14 ± 0.02 | 1.177 ± 0.023 | compatible |
| two ratios | 1.56 ± 0.03 | 1.669 ± 0.033 | compatible |
| unbinned | 1.75 ± 0.03 | 1.736 ± 0.035 | compatible |

```yaml
histograms:
  d_me: {observable: d_me, bins: 30}
```

## Angular functions

`f_1` ... `f_9` are the functions of which the squared amplitude of a vector boson with a leptonic decay is a sum, for the
production angle theta_star of Z1, the decay angle theta_1 of its negative lepton and the angle phi_1 between the planes.
`angular_functions` computes them for other angles, such as (cos_theta_1, cos_theta_2, phi) of both decays.
`angular_moments` gives their weighted means, with errors and covariance, and the coefficients of the distribution:

```python
import json
import numpy as np
from toolkit.diagnostics import angular_moments

moments = angular_moments(np.stack([table.observables[f"f_{k}"] for k in range(1, 10)]), weights)
for k in range(9):
    print(f"f_{k + 1}: {moments.means[k]:.4f} +- {moments.errors[k]:.4f}")
json.dumps(moments.to_json())
```

## Adding one

Three lines in `toolkit/kinematics/observables.py` (or `production.py` if it needs jets), and a docstring for this
table. The function gets momenta as components (4, n) and quantities that several observables share, computed once;
`needs="jets"` leaves it out where there are none.

```python
@observable("pt_z1", unit="GeV", label=r"$p_\mathrm{T}^{Z_1}$", range=(0.0, 500.0), beam_swap="even")
def _pt_z1(event: FourLeptonEvent) -> FloatArray:
    return transverse_momentum(event.z1)
```

Without touching the package: write the same three lines into a Python file of your own, and name the file in the
config. Paths are relative to the config. The file is run, in worker processes too, so name only files that you trust;
a change of it makes the event tables stale.

```yaml
modules: [my_observables.py]
observables: [standard, vbf, m_z1_over_m_z2]
```

```python
# my_observables.py
from toolkit.kinematics import FourLeptonEvent, observable


@observable("m_z1_over_m_z2", unit="", label=r"$m_{Z_1} / m_{Z_2}$", range=(0.0, 3.0), beam_swap="even")
def m_z1_over_m_z2(event: FourLeptonEvent):
    _, m_z1, m_z2 = event.masses
    return m_z1 / m_z2
```

Observables of your own belong to the group `user`. A name that is taken, a file that is missing and a line that fails
are refused with a message that names them.

## Exchange of the beams

Two identical beams look the same from both sides. With `ratios.fold_beam_axis` (the default) every event is turned by pi about
a transverse axis where that makes `cos_theta_star` positive, inside the networks and inside the ONNX file. So every feature
must say what it becomes in the turned event, `beam_swap`:

| `beam_swap` | the observable becomes | for example |
|---|---|---|
| `"even"` | the same | masses, transverse momenta |
| `"odd"` | the opposite | rapidities, differences of azimuths |
| `"half_turn"` | an angle plus or minus pi | `phi_1` |
| `{"NAME": factor, ...}` | a sum of observables; they must be features, too | `q2_v1` and `q2_v2` change places |

A feature that does not say it is refused, and `h4l validate` tries what your module declares on events. Columns say `even` or
`odd` under `columns`. The fill of a missing value must stay as it is: 0 for an odd observable. Without `cos_theta_star` among
the features, the first odd one decides which events are turned.
"""
GROUPS = {
    "standard": "what the event tables hold by default",
    "leptons": "leptons of each Z boson",
    "jets": "jets, and jets with the four leptons",
    "vbf": "production by vector boson fusion, with the two leading jets",
    "matrix_element": "discriminants of matrix elements of leading order",
    "angular": "functions of production and decay angles of Z1",
    "columns": "numbers that only the ntuple can give",
}


def _swap(entry: Observable) -> str:
    """Say in words what an observable becomes when the beams are exchanged."""
    if not isinstance(entry.beam_swap, Mapping):
        return {"even": "even", "odd": "odd", "half_turn": "plus pi", None: "-"}[entry.beam_swap]
    return " ".join(f"{'-' if factor < 0 else '+' if k else ''}{name}" for k, (name, factor) in enumerate(entry.beam_swap.items()))


def reference() -> str:
    """Return the content of docs/observables.md."""
    parts = [HEAD]
    for group, meaning in GROUPS.items():
        head = "| name | unit | needs | plot range | beams exchanged | definition |\n|---|---|---|---|---|---|"
        parts.append(f"\n## Group `{group}`: {meaning}\n\n{head}")
        for entry in OBSERVABLES.values():
            if entry.group == group:
                definition = " ".join((entry.function.__doc__ or "").split()).replace("|", "\\|")
                low, high = entry.range
                needs = {"leptons": "four leptons", "jets": "jets", "column": "a column"}[entry.needs]
                parts.append(f"| `{entry.name}` | {entry.unit} | {needs} | {low:.4g} to {high:.4g} | {_swap(entry)} | {definition} |")
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
