"""Small four-lepton events, made from two decaying Z bosons, and writers of both ntuple layouts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from toolkit.config import Config, parse_config

BENCHMARKS = ("ggF_S", "ggF_B", "ggF_SBI")
XSEC_FB = 5.0
FIELDS = ("pt", "eta", "phi", "mass")
MASS = {11: 0.00051099895, 13: 0.1056583755}


@dataclass(frozen=True)
class Particle:
    pt: float
    eta: float
    phi: float
    mass: float
    pdg_id: int = 0


@dataclass(frozen=True)
class Event:
    """Numbers as an ntuple holds them: float32 precision, leptons ordered by pt."""

    number: int
    leptons: tuple[Particle, ...]
    jets: tuple[Particle, ...]
    gen_weight: float
    ratios: tuple[float, ...]


def make_events(n: int, *, seed: int, first: int = 1) -> list[Event]:
    """Make events; about one in ten has three leptons, one in ten a fifth, and jets may lie on a lepton."""
    rng = np.random.default_rng(seed)
    return [_event(rng, first + i) for i in range(n)]


def _event(rng: np.random.Generator, number: int) -> Event:
    momentum = rng.uniform(40, 300)
    axis = _direction(rng)
    flavours = rng.choice([11, 13], size=2)
    leptons = []
    for sign, flavour in zip((1, -1), flavours, strict=True):
        mass = rng.normal(91, 6)
        leptons += _decay(rng, mass, sign * momentum * axis, int(flavour))
    kind = rng.uniform()
    if kind < 0.1:
        leptons = leptons[:3]
    elif kind < 0.2:
        leptons.append(_uniform(rng, (4, 20), 2.6, MASS[13], pdg_id=int(rng.choice([-13, 13]))))
    jets = [_uniform(rng, (20, 80), 4.7, 5.0) for _ in range(rng.poisson(1.2))]
    if rng.uniform() < 0.3:
        near = leptons[0]
        jets.append(_round(Particle(near.pt + 25, near.eta + 0.1, near.phi + 0.1, 5.0)))
    weight = float(np.float32(rng.uniform(0.5, 1.5)))
    ratios = tuple(float(np.float32(r)) for r in (rng.uniform(0, 0.5), rng.uniform(0.8, 1.2), 1.0))
    by_pt = tuple(sorted(leptons, key=lambda p: -p.pt))
    return Event(number, by_pt, tuple(sorted(jets, key=lambda p: -p.pt)), weight, ratios)


def _uniform(rng: np.random.Generator, pt: tuple[float, float], abs_eta: float, mass: float, *, pdg_id: int = 0) -> Particle:
    return _round(Particle(rng.uniform(*pt), rng.uniform(-abs_eta, abs_eta), rng.uniform(-3.1, 3.1), mass, pdg_id))


def _direction(rng: np.random.Generator) -> Any:
    z, phi = rng.uniform(-0.8, 0.8), rng.uniform(-np.pi, np.pi)
    r = np.sqrt(1 - z * z)
    return np.array([r * np.cos(phi), r * np.sin(phi), z])


def _decay(rng: np.random.Generator, mass: float, momentum: Any, flavour: int) -> list[Particle]:
    energy = np.sqrt(mass**2 + momentum @ momentum)
    beta = momentum / energy
    direction = _direction(rng)
    out = []
    for sign, pdg_id in ((1, flavour), (-1, -flavour)):
        p, e = sign * mass / 2 * direction, mass / 2
        gamma = energy / mass
        along = beta @ p
        boosted = p + (gamma - 1) * along / (beta @ beta) * beta + gamma * beta * e
        pt, phi = float(np.hypot(boosted[0], boosted[1])), float(np.arctan2(boosted[1], boosted[0]))
        out.append(_round(Particle(pt, float(np.arcsinh(boosted[2] / pt)), phi, MASS[flavour], pdg_id)))
    return out


def _round(p: Particle) -> Particle:
    return replace(p, **{f: float(np.float32(getattr(p, f))) for f in FIELDS})


def _jagged(rows: list[list[float]], dtype: Any) -> Any:
    counts = np.array([len(row) for row in rows], dtype=np.int64)
    return ak.values_astype(ak.unflatten(np.array([x for row in rows for x in row], dtype=dtype), counts), dtype)


def nano_columns(events: list[Event], *, benchmarks: bool = True) -> dict[str, Any]:
    """Columns of a NanoAOD-like tree; groups (Electron, Muon, Jet) are records."""
    columns: dict[str, Any] = {
        "event": np.array([e.number for e in events], dtype=np.uint64),
        "run": np.ones(len(events), dtype=np.uint32),
        "luminosityBlock": np.ones(len(events), dtype=np.uint32),
        "genWeight": np.array([e.gen_weight for e in events], dtype=np.float32),
    }
    if benchmarks:
        columns["LHEReweightingWeight"] = _jagged([list(e.ratios) for e in events], np.float32)
    for name, flavour in (("Electron", 11), ("Muon", 13)):
        chosen = [[p for p in e.leptons if abs(p.pdg_id) == flavour] for e in events]
        fields = {f: _jagged([[getattr(p, f) for p in row] for row in chosen], np.float32) for f in FIELDS}
        columns[name] = ak.zip({**fields, "charge": _jagged([[-np.sign(p.pdg_id) for p in row] for row in chosen], np.int32)})
    columns["Jet"] = ak.zip({f: _jagged([[getattr(p, f) for p in e.jets] for e in events], np.float32) for f in FIELDS})
    return columns


def write_tree(path: Path, columns: dict[str, Any], *, tree: str = "Events", runs: dict[str, float] | None = None) -> Path:
    """Write columns as a TTree, and a Runs tree beside it."""
    trees = {tree: columns} if runs is None else {tree: columns, "Runs": {k: np.array([v]) for k, v in runs.items()}}
    with uproot.recreate(path) as file:
        for name, content in trees.items():
            types = {k: v.type.content if isinstance(v, ak.Array) else v.dtype for k, v in content.items()}
            file.mktree(name, types).extend(content)
    return path


def write_nano(
    path: Path,
    events: list[Event],
    *,
    benchmarks: bool = True,
    drop: Collection[str] = (),
    tree: str = "Events",
    xsec_fb: float | None = XSEC_FB,
    **replaced: Any,
) -> Path:
    """Write a NanoAOD-like ntuple; `drop` leaves columns (or Electron_mass-like fields) out, `replaced` gives others."""
    columns = nano_columns(events, benchmarks=benchmarks) | replaced
    for name in drop:
        group, _, field = name.partition("_")
        if name in columns:
            del columns[name]
        else:
            columns[group] = ak.zip({f: columns[group][f] for f in columns[group].fields if f != field})
    runs = {"genEventCount": len(events), "genEventSumw": float(sum(e.gen_weight for e in events))}
    if xsec_fb is not None:
        runs["xsec_fb"] = xsec_fb
    return write_tree(path, columns, tree=tree, runs=runs)


def flat_columns(events: list[Event], *, scale: float = 1.0, n_leptons: int = 5, n_jets: int = 6) -> dict[str, Any]:
    """Columns lep1_pt, jet1_pt, ..., weight, w_<benchmark>; `scale` 1000 gives MeV."""
    columns: dict[str, Any] = {
        "event": np.array([e.number for e in events], dtype=np.uint64),
        "weight": np.array([e.gen_weight for e in events], dtype=np.float32),
    }
    for i, name in enumerate(BENCHMARKS):
        columns[f"w_{name}"] = np.array([e.ratios[i] for e in events], dtype=np.float32)
    for kind, number, fields in (("lep", n_leptons, ("pt", "eta", "phi", "mass", "pdg_id")), ("jet", n_jets, ("pt", "eta", "phi", "mass"))):
        for i in range(number):
            for field in fields:
                values = np.full(len(events), -999.0)
                for row, event in enumerate(events):
                    particles = event.leptons if kind == "lep" else event.jets
                    if i < len(particles):
                        factor = scale if field in {"pt", "mass"} else 1.0
                        values[row] = factor * getattr(particles[i], field)
                columns[f"{kind}{i + 1}_{field}"] = values
    return columns


def write_flat(path: Path, events: list[Event], *, scale: float = 1.0, n_leptons: int = 5, n_jets: int = 6) -> Path:
    """Write a flat ntuple."""
    return write_tree(path, flat_columns(events, scale=scale, n_leptons=n_leptons, n_jets=n_jets), tree="Events")


def write_csv(path: Path, events: list[Event], **options: Any) -> Path:
    """Write the flat columns as text; seventeen digits keep every number."""
    columns = flat_columns(events, **options)
    rows = [",".join(format(columns[name][i], "d" if name == "event" else ".17g") for name in columns) for i in range(len(events))]
    path.write_text("\n".join([",".join(columns), *rows]) + "\n")
    return path


def momentum(p: Particle) -> tuple[float, float, float, float]:
    """Return px, py, pz, E."""
    px, py, pz = (float(x) for x in (p.pt * np.cos(p.phi), p.pt * np.sin(p.phi), p.pt * np.sinh(p.eta)))
    return px, py, pz, float(np.sqrt(px**2 + py**2 + pz**2 + p.mass**2))


def write_cartesian(path: Path, events: list[Event], **more: Any) -> Path:
    """Write jagged Electron_Px, ..., Muon_Px, ..., Jet_Px, ... in GeV with EventWeight and no event number."""
    columns: dict[str, Any] = {"EventWeight": np.array([e.gen_weight for e in events])}
    for kind, flavour in (("Electron", 11), ("Muon", 13), ("Jet", 0)):
        chosen = [[p for p in (e.leptons if flavour else e.jets) if abs(p.pdg_id) == flavour] for e in events]
        for k, name in enumerate(("Px", "Py", "Pz", "E")):
            columns[f"{kind}_{name}"] = _jagged([[momentum(p)[k] for p in row] for row in chosen], np.float64)
        if flavour:
            columns[f"{kind}_Charge"] = _jagged([[-np.sign(p.pdg_id) for p in row] for row in chosen], np.int32)
    return write_tree(path, columns | more, tree="events")


def write_atlas(path: Path, events: list[Event], *, scale: float = 1000.0, **more: Any) -> Path:
    """Write an ATLAS open-data tree `mini`: MeV, one collection of leptons, scale factors of 0.5 and 2, XSection in pb."""
    columns: dict[str, Any] = {
        "runNumber": np.ones(len(events), dtype=np.int32),
        "eventNumber": np.array([e.number for e in events], dtype=np.int32),
        "mcWeight": np.array([e.gen_weight for e in events], dtype=np.float32),
        "scaleFactor_PILEUP": np.full(len(events), 0.5, dtype=np.float32),
        "scaleFactor_ELE": np.full(len(events), 2.0, dtype=np.float32),
        "scaleFactor_MUON": np.ones(len(events), dtype=np.float32),
        "scaleFactor_LepTRIGGER": np.ones(len(events), dtype=np.float32),
        "XSection": np.full(len(events), XSEC_FB * 1e-3),
        "SumWeights": np.full(len(events), sum(e.gen_weight for e in events)),
    }
    for kind in ("lep", "jet"):
        rows = [e.leptons if kind == "lep" else e.jets for e in events]
        for field, unit in (("pt", scale), ("eta", 1.0), ("phi", 1.0)):
            columns[f"{kind}_{field}"] = _jagged([[unit * getattr(p, field) for p in row] for row in rows], np.float64)
        columns[f"{kind}_E"] = _jagged([[scale * momentum(p)[3] for p in row] for row in rows], np.float64)
    columns["lep_charge"] = _jagged([[-np.sign(p.pdg_id) for p in e.leptons] for e in events], np.int32)
    columns["lep_type"] = _jagged([[abs(p.pdg_id) for p in e.leptons] for e in events], np.uint32)
    return write_tree(path, columns | more, tree="mini")


def write_lhe(path: Path, events: list[Event], *, names: tuple[str, ...] = BENCHMARKS, xsec_pb: float = XSEC_FB * 1e-3) -> Path:
    """Write an LHE file: leptons and gluons of status 1, two incoming gluons, a weight per benchmark in a group `reweighting`."""
    declared = "\n".join(f"<weight id='{name}'> {name} </weight>" for name in names)
    text = [
        "<LesHouchesEvents version='3.0'>\n<header>\n<initrwgt>\n<weightgroup name='reweighting' combine='none'>",
        f"{declared}\n</weightgroup>\n</initrwgt>\n</header>\n<init>",
        f"2212 2212 6500. 6500. 0 0 0 0 3 1\n{xsec_pb!r} 0. 1. 1\n</init>",
    ]
    for event in events:
        lines = ["21 -1 0 0 0 0 0. 0. 100. 100. 0. 0. 9.", "21 -1 0 0 0 0 0. 0. -100. 100. 0. 0. 9."]
        for p in (*event.leptons, *event.jets):
            px, py, pz, energy = momentum(p)
            lines.append(
                f"{p.pdg_id or 21} 1 1 2 0 0 {px!r} {py!r} {pz!r} {energy!r} {p.mass!r} 0. 9.".replace("np.float64(", "").replace(")", "")
            )
        weights = "\n".join(f"<wgt id='{n}'> {event.gen_weight * r!r} </wgt>" for n, r in zip(names, event.ratios, strict=False))
        head = f"{len(lines)} 1 {event.gen_weight!r} 91. -1. -1."
        text.append("\n".join(["<event>", head, *lines, "<rwgt>", weights, "</rwgt>", "</event>"]))
    path.write_text("\n".join([*text, "</LesHouchesEvents>"]) + "\n")
    return path


def make_config(folder: Path, samples: list[dict[str, Any]], **sections: Any) -> Config:
    """Parse a config whose files lie in `folder`."""
    return parse_config({"luminosity_ifb": 100.0, "samples": samples, **sections}, folder=folder)


def signal_sample(files: str | list[str], **keys: Any) -> dict[str, Any]:
    """Return the section of an interfering sample."""
    patterns = [files] if isinstance(files, str) else files
    return {"name": "ggF_SBI", "files": patterns, "benchmarks": list(BENCHMARKS), **keys}
