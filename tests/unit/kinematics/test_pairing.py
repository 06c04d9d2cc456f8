"""Choice of the quadruplet against a slow twin over all combinations."""

from __future__ import annotations

import itertools
import math

import awkward as ak
import numpy as np
import pytest

from toolkit.errors import SchemaError, ShapeError
from toolkit.kinematics import cartesian_from_ptetaphim, pair_leptons, take_quadruplet
from toolkit.kinematics.pairing import best_quadruplet
from toolkit.units import M_Z

ROLES = ("a1", "b1", "a2", "b2")


def random_leptons(n, seed, *, max_leptons=7):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, max_leptons + 1, n)
    total = int(counts.sum())
    fields = {
        "pt": rng.exponential(40.0, total),
        "eta": rng.normal(size=total),
        "phi": rng.uniform(-np.pi, np.pi, total),
        "mass": np.full(total, 0.1),
        "pdg_id": rng.choice([11, -11, 13, -13], total),
    }
    return ak.unflatten(ak.zip(fields), counts)


def pair_twin(event):
    """All pairs of disjoint same-flavour opposite-charge pairs: nearest Z1, then largest scalar sum of Z2."""
    momenta = [cartesian_from_ptetaphim([p["pt"]], p["eta"], p["phi"], p["mass"])[0] for p in event]

    def mass(pair):
        total = momenta[pair[0]] + momenta[pair[1]]
        return math.sqrt(max(total[3] ** 2 - total[:3] @ total[:3], 0.0))

    pairs = [
        (i, j)
        for i, j in itertools.permutations(range(len(event)), 2)
        if event[i]["pdg_id"] > 0 and event[j]["pdg_id"] == -event[i]["pdg_id"]
    ]
    candidates = [(z1, z2) for z1, z2 in itertools.permutations(pairs, 2) if not set(z1) & set(z2)]
    if not candidates:
        return None
    z1, z2 = min(candidates, key=lambda c: (abs(mass(c[0]) - M_Z), -sum(event[k]["pt"] for k in c[1])))
    return {"a1": z1[0], "b1": z1[1], "a2": z2[0], "b2": z2[1]}


def test_equals_the_slow_twin():
    leptons = random_leptons(800, seed=41)
    fast = pair_leptons(leptons).tolist()
    slow = [pair_twin(event) for event in leptons.tolist()]
    assert fast == slow
    assert 50 < sum(q is not None for q in slow) < 750
    assert any(q is not None and len(event) > 4 for q, event in zip(slow, leptons.tolist(), strict=True))


def lepton(pdg_id, px, py, pz=0.0):
    return {"px": px, "py": py, "pz": pz, "E": math.sqrt(px**2 + py**2 + pz**2), "pdg_id": pdg_id}


def event_of(*leptons):
    return ak.Array([list(leptons)])


def test_in_2e2mu_the_nearer_pair_comes_first_whatever_its_flavour():
    electrons = lepton(11, 45.0, 0.0), lepton(-11, -45.0, 0.0)
    muons = lepton(13, 0.0, 20.0), lepton(-13, 0.0, -20.0)
    assert pair_leptons(event_of(*muons, *electrons)).tolist() == [{"a1": 2, "b1": 3, "a2": 0, "b2": 1}]
    assert pair_leptons(event_of(*electrons, *muons)).tolist() == [{"a1": 0, "b1": 1, "a2": 2, "b2": 3}]


def test_in_4mu_the_crossed_pairs_count():
    # The pair of the first and the last muon has exactly the mass 90 GeV.
    muons = [lepton(13, 45.0, 0.0), lepton(-13, 0.0, 45.0, 5.0), lepton(13, 0.0, -30.0, 9.0), lepton(-13, -45.0, 0.0)]
    assert pair_leptons(event_of(*muons)).tolist() == [{"a1": 0, "b1": 3, "a2": 2, "b2": 1}]


def test_five_leptons_with_and_without_a_partner():
    muons = lepton(13, 45, 0), lepton(-13, -45, 0), lepton(13, 0, 50, 3)
    with_partner = event_of(*muons, lepton(-11, 0, -20), lepton(11, 9, 20))
    assert pair_leptons(with_partner).tolist() == [{"a1": 0, "b1": 1, "a2": 4, "b2": 3}]
    without = event_of(*muons, lepton(11, 0, -20), lepton(11, 9, 20))
    assert pair_leptons(without).tolist() == [None]


def test_with_two_partners_the_larger_sum_of_pt_is_taken():
    z1 = lepton(13, 45.59, 0), lepton(-13, -45.59, 0)
    soft = lepton(11, 0, 20), lepton(-11, 0, -20)
    hard = lepton(13, 30, 40), lepton(-13, 10, -30)
    quadruplet = pair_leptons(event_of(*soft, *z1, *hard))[0]
    assert quadruplet.tolist() == {"a1": 2, "b1": 3, "a2": 4, "b2": 5}


@pytest.mark.parametrize(
    "pdg_ids",
    [(11, 11, -13, -13), (11, -13, 13, 13), (11, 11, 11, -11), (13, -13, 11, 11), (13, -13, 11, -13), (13, -13, 0, 0)],
)
def test_wrong_charges_or_flavours_give_none(pdg_ids):
    momenta = [(40, 5), (-40, 0), (3, 40), (0, -40)]
    event = event_of(*(lepton(i, *p) for i, p in zip(pdg_ids, momenta, strict=True)))
    assert pair_leptons(event).tolist() == [None]


def test_charge_and_flavour_serve_instead_of_pdg_id():
    leptons = random_leptons(300, seed=42)
    separate = ak.zip({name: leptons[name] for name in ("pt", "eta", "phi", "mass")})
    separate["charge"] = -np.sign(leptons["pdg_id"])
    separate["flavour"] = np.abs(leptons["pdg_id"])
    assert pair_leptons(separate).tolist() == pair_leptons(leptons).tolist()


def test_the_mass_of_reference_is_an_option():
    electrons = lepton(11, 45.0, 0.0), lepton(-11, -45.0, 0.0)
    muons = lepton(13, 0.0, 20.0), lepton(-13, 0.0, -20.0)
    assert pair_leptons(event_of(*electrons, *muons), m_z=40.0).tolist() == [{"a1": 2, "b1": 3, "a2": 0, "b2": 1}]


def size_of(pair, size):
    px, py, pz, energy = np.sum([cartesian_from_ptetaphim([p["pt"]], p["eta"], p["phi"], p["mass"])[0] for p in pair], axis=0)
    return math.hypot(px, py) if size == "pt" else math.sqrt(energy**2 - px**2 - py**2 - pz**2)


@pytest.mark.parametrize(("z1", "size"), [("heavier", "mass"), ("harder", "pt")])
def test_z1_may_be_the_larger_pair(z1, size):
    leptons = random_leptons(2000, seed=9)
    nearest, larger = pair_leptons(leptons), pair_leptons(leptons, z1=z1)
    swapped = 0
    for event, one, other in zip(leptons.tolist(), nearest.tolist(), larger.tolist(), strict=True):
        if one is None:
            assert other is None
            continue
        pairs = [(one["a1"], one["b1"]), (one["a2"], one["b2"])]
        first, second = (size_of([event[i] for i in pair], size) for pair in pairs)
        if second > first:
            pairs.reverse()
            swapped += 1
        assert [(other["a1"], other["b1"]), (other["a2"], other["b2"])] == pairs
    assert 50 < swapped < 1500
    with pytest.raises(SchemaError, match="leading"):
        pair_leptons(leptons, z1="nearest")


def test_a_lepton_without_momentum_is_not_paired():
    good = [lepton(11, 45.0, 0.0), lepton(-11, -45.0, 0.0), lepton(13, 0.0, 20.0), lepton(-13, 0.0, -20.0)]
    spoiled = [*good, {**lepton(-11, 1.0, 0.0), "px": math.nan}]
    assert pair_leptons(event_of(*spoiled)).tolist() == pair_leptons(event_of(*good)).tolist()


def test_taken_leptons_carry_their_fields():
    leptons = random_leptons(200, seed=43)
    quadruplets = pair_leptons(leptons)
    taken = take_quadruplet(leptons, quadruplets)
    for event, chosen, four in zip(leptons.tolist(), quadruplets.tolist(), taken.tolist(), strict=True):
        for role in ROLES:
            assert four[role] == (None if chosen is None else event[chosen[role]])


def test_empty_inputs():
    leptons = random_leptons(50, seed=44)
    for none in (leptons[:0], leptons[ak.num(leptons) < 4]):
        quadruplets = pair_leptons(none)
        assert quadruplets.tolist() == [None] * len(none)
        assert len(take_quadruplet(none, quadruplets)) == len(none)


def test_regular_kernel_has_minus_one_where_none():
    momenta = cartesian_from_ptetaphim([30.0, 30.0, 30.0, 30.0], 0.0, [0.0, 3.0, 1.5, -1.5], 0.0)[None]
    charge = np.array([[-1, 1, -1, 1]])
    assert best_quadruplet(momenta, charge, np.array([[11, 11, 13, 13]])).min() == 0
    np.testing.assert_array_equal(best_quadruplet(momenta, np.abs(charge), np.array([[11, 11, 13, 13]])), [[-1, -1, -1, -1]])


def test_wrong_input_is_refused():
    leptons = random_leptons(5, seed=45)
    with pytest.raises(ShapeError, match="jagged"):
        pair_leptons(ak.flatten(leptons))
    with pytest.raises(ShapeError, match="jagged"):
        pair_leptons(np.zeros((3, 4)))
    with pytest.raises(SchemaError, match="pdg_id"):
        pair_leptons(leptons[["pt", "eta", "phi", "mass"]])
    with pytest.raises(ShapeError, match="as many as leptons"):
        take_quadruplet(leptons, pair_leptons(leptons)[:2])
