"""All decay observables of paired leptons: this package, plain NumPy on whole columns, and vector.

    python -m benchmarks.kinematics [--events 1000000] [--repeat 3]

Aim: 0.35 s for a million events on one core. The same formulas compiled with numba take half of that, after 2 s of
compilation in every process: that pays above ten million events per process, and is not worth a second implementation.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import vector

from benchmarks.measure import best_of, peak_memory_gb, print_json, print_table
from toolkit.kinematics import LeadingJets, cartesian_from_ptetaphim, compute_observables

DECAY = ("m4l", "m_z1", "m_z2", "cos_theta_star", "cos_theta_1", "cos_theta_2", "phi", "phi_1", "pt4l", "y4l")
JETS = ("m_jj", "delta_eta_jj", "delta_phi_jj", "zeppenfeld_zz", "pt_j1", "pt_j2")
VBF = ("vbf_cos_theta_star", "vbf_cos_theta_1", "vbf_cos_theta_2", "vbf_phi", "vbf_phi_1", "q2_v1", "q2_v2")


def make_leptons(n_events: int, *, seed: int) -> list[Any]:
    """Return four momenta (n, 4) of unrelated leptons: the formulas do not care."""
    rng = np.random.default_rng(seed)
    draw = [(10 + rng.exponential(40.0, n_events), rng.normal(size=n_events), rng.uniform(-np.pi, np.pi, n_events)) for _ in range(4)]
    return [cartesian_from_ptetaphim(pt, eta, phi, 0.1057) for pt, eta, phi in draw]


def plain(a1: Any, b1: Any, a2: Any, b2: Any) -> dict[str, Any]:
    """Compute the decay observables from whole columns, formula by formula."""
    a1, b1, a2, b2 = (p.T for p in (a1, b1, a2, b2))
    z1, z2 = a1 + b1, a2 + b2
    x = z1 + z2

    def mass(p: Any) -> Any:
        return np.sqrt(p[3] ** 2 - p[0] ** 2 - p[1] ** 2 - p[2] ** 2)

    def into(p: Any, frame: Any) -> Any:
        m = mass(frame)
        along = p[0] * frame[0] + p[1] * frame[1] + p[2] * frame[2]
        factor = (along / (frame[3] + m) - p[3]) / m
        return np.stack([p[0] + factor * frame[0], p[1] + factor * frame[1], p[2] + factor * frame[2], (p[3] * frame[3] - along) / m])

    def unit(p: Any) -> Any:
        return p[:3] / np.sqrt(p[0] ** 2 + p[1] ** 2 + p[2] ** 2)

    def dot(p: Any, q: Any) -> Any:
        return p[0] * q[0] + p[1] * q[1] + p[2] * q[2]

    def cross(p: Any, q: Any) -> Any:
        return np.stack([p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]])

    def signed(sine: Any, cosine: Any) -> Any:
        return np.sign(sine) * np.arccos(np.clip(cosine, -1, 1))

    ax, bx, cx, dx, z1x = (into(p, x) for p in (a1, b1, a2, b2, z1))
    n1, n2, flight = unit(cross(ax, bx)), unit(cross(cx, dx)), unit(z1x)
    nsc = unit(np.stack([-z1x[1], z1x[0], np.zeros_like(z1x[0])]))
    return {
        "m4l": mass(x),
        "m_z1": mass(z1),
        "m_z2": mass(z2),
        "cos_theta_star": flight[2],
        "cos_theta_1": -dot(unit(into(z2, z1)), unit(into(a1, z1))),
        "cos_theta_2": -dot(unit(into(z1, z2)), unit(into(a2, z2))),
        "phi": signed(dot(flight, cross(n1, n2)), -dot(n1, n2)),
        "phi_1": signed(dot(flight, cross(n1, nsc)), dot(n1, nsc)),
        "pt4l": np.sqrt(x[0] ** 2 + x[1] ** 2),
        "y4l": np.arctanh(x[2] / x[3]),
    }


def with_vector(a1: Any, b1: Any, a2: Any, b2: Any) -> dict[str, Any]:
    """Compute the decay observables with vector, Cartesian."""
    a1, b1, a2, b2 = (vector.array({"px": p[:, 0], "py": p[:, 1], "pz": p[:, 2], "E": p[:, 3]}) for p in (a1, b1, a2, b2))
    z1, z2 = a1 + b1, a2 + b2
    x = z1 + z2
    ax, bx, cx, dx, z1x = (p.boostCM_of_p4(x).to_Vector3D() for p in (a1, b1, a2, b2, z1))
    n1, n2, flight = ax.cross(bx).unit(), cx.cross(dx).unit(), z1x.unit()
    nsc = vector.array({"x": -z1x.y, "y": z1x.x, "z": np.zeros(len(z1x.x))}).unit()

    def signed(sine: Any, cosine: Any) -> Any:
        return np.sign(sine) * np.arccos(np.clip(cosine, -1, 1))

    return {
        "m4l": x.mass,
        "m_z1": z1.mass,
        "m_z2": z2.mass,
        "cos_theta_star": flight.z,
        "cos_theta_1": -z2.boostCM_of_p4(z1).to_Vector3D().unit().dot(a1.boostCM_of_p4(z1).to_Vector3D().unit()),
        "cos_theta_2": -z1.boostCM_of_p4(z2).to_Vector3D().unit().dot(a2.boostCM_of_p4(z2).to_Vector3D().unit()),
        "phi": signed(flight.dot(n1.cross(n2)), -n1.dot(n2)),
        "phi_1": signed(flight.dot(n1.cross(nsc)), n1.dot(nsc)),
        "pt4l": x.pt,
        "y4l": x.rapidity,
    }


def largest_difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Return the largest difference of any observable: relative for masses, absolute for angles."""
    return max(float(np.nanmax(np.abs(one[name] - other[name]) / np.maximum(1.0, np.abs(one[name])))) for name in DECAY)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    leptons = make_leptons(options.events, seed=1)
    jets = LeadingJets(np.full(options.events, 2.0), *make_leptons(options.events, seed=2)[:2])
    calls = {
        "toolkit": lambda: compute_observables(*leptons, names=DECAY),
        "plain NumPy": lambda: plain(*leptons),
        "vector": lambda: with_vector(*leptons),
        "toolkit, all of leptons": lambda: compute_observables(*leptons),
        "toolkit, jets": lambda: compute_observables(*leptons, jets=jets, names=JETS),
        "toolkit, VBF": lambda: compute_observables(*leptons, jets=jets, names=VBF),
    }
    times = {name: best_of(call, repeat=options.repeat) for name, call in calls.items()}
    base = times["toolkit"].cpu
    print(f"{options.events} events, {len(DECAY)} decay observables, best of {options.repeat}")
    print_table(["implementation", "wall s", "CPU s", "CPU / toolkit"], [[name, t.wall, t.cpu, t.cpu / base] for name, t in times.items()])
    values = compute_observables(*leptons, names=DECAY)
    differences = {"plain NumPy": largest_difference(values, plain(*leptons)), "vector": largest_difference(values, with_vector(*leptons))}
    print("largest difference: " + ", ".join(f"{name} {value:.1e}" for name, value in differences.items()))
    print(f"peak memory {peak_memory_gb():.2f} GB")
    print_json(
        {
            "events": options.events,
            "seconds": {name: {"wall": t.wall, "cpu": t.cpu} for name, t in times.items()},
            "difference": differences,
        }
    )


if __name__ == "__main__":
    main()
