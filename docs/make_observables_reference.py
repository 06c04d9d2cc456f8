"""Write the table of docs/observables.md from the registry: `python docs/make_observables_reference.py`.

The tests check that the file is current. The text around the table is written by hand, here.
"""

from __future__ import annotations

from pathlib import Path

from toolkit.kinematics import OBSERVABLES

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
matrix-element discriminant) are known; any other name brings its own unit, label and plot range.

```yaml
columns:
  met: {branch: met_et, scale: 0.001}       # from MeV
  d_me: {branch: D_bkg_kin, missing: -999}  # -999 stands for a missing value
  bdt: {branch: BDT_score, range: [-1, 1]}
```

## Adding one

Three lines in `toolkit/kinematics/observables.py` (or `production.py` if it needs jets), and a docstring for this
table. The function gets momenta as components (4, n) and quantities that several observables share, computed once;
`needs="jets"` leaves it out where there are none.

```python
@observable("pt_z1", unit="GeV", label=r"$p_\mathrm{T}^{Z_1}$", range=(0.0, 500.0))
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


@observable("m_z1_over_m_z2", unit="", label=r"$m_{Z_1} / m_{Z_2}$", range=(0.0, 3.0))
def m_z1_over_m_z2(event: FourLeptonEvent):
    _, m_z1, m_z2 = event.masses
    return m_z1 / m_z2
```

Observables of your own belong to the group `user`. A name that is taken, a file that is missing and a line that fails
are refused with a message that names them.
"""
GROUPS = {
    "standard": "what the event tables hold by default",
    "leptons": "leptons of each Z boson",
    "jets": "jets, and jets with the four leptons",
    "vbf": "production by vector boson fusion, with the two leading jets",
    "columns": "numbers that only the ntuple can give",
}


def reference() -> str:
    """Return the content of docs/observables.md."""
    parts = [HEAD]
    for group, meaning in GROUPS.items():
        parts.append(f"\n## Group `{group}`: {meaning}\n\n| name | unit | needs | plot range | definition |\n|---|---|---|---|---|")
        for entry in OBSERVABLES.values():
            if entry.group == group:
                definition = " ".join((entry.function.__doc__ or "").split()).replace("|", "\\|")
                low, high = entry.range
                needs = {"leptons": "four leptons", "jets": "jets", "column": "a column"}[entry.needs]
                parts.append(f"| `{entry.name}` | {entry.unit} | {needs} | {low:.4g} to {high:.4g} | {definition} |")
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
