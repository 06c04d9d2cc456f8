"""Models of several processes against loops, closed forms and finite differences; what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.model import BASES, Model, ModelParameter, Process, Region, Sample, Split, learned_densities
from toolkit.model.parameters import resolve_derived
from toolkit.weights import Morphing

MU = (ModelParameter("mu_ggF", range=(0.0, 6.0)), ModelParameter("mu_EW", range=(0.0, 6.0)))
FREE = tuple(ModelParameter(name, "normalisation", range=(0.1, 4.0)) for name in ("t0", "t1", "t2"))
GGF = BASES["ggF"].process("ggF", parameter="mu_ggF")
EW = BASES["EW"].process("EW", parameter="mu_EW")
QQZZ = Process.build(
    "qqZZ",
    {"A": "1"},
    splits=[
        Split("qqZZ_0j", "n_jets == 0", "t0"),
        Split("qqZZ_1j", "n_jets == 1", "t0 * t1"),
        Split("qqZZ_2j", "n_jets >= 2", "t0 * t1 * t2"),
    ],
)
MODEL = Model(parameters=(*MU, *FREE), processes=(GGF, EW, QQZZ))


def test_a_two_group_model_is_the_sum_of_its_groups() -> None:
    """Slow twin: loops over processes and pairs of amplitudes."""
    rng = np.random.default_rng(3)
    points = rng.uniform(0.1, 4.0, size=(40, 5))
    roots = {name: rng.normal(size=(2, 2)) for name in ("ggF", "EW")}
    m = {name: root @ root.T for name, root in roots.items()}
    parts = rng.uniform(1.0, 9.0, size=3)
    columns = []
    for process in (GGF, EW):
        columns += [float(np.array(d.vector) @ m[process.name] @ np.array(d.vector)) for d in learned_densities(process)]
    found = MODEL.coefficients().values(points) @ np.array([*columns, *parts])
    for i, (mu_ggf, mu_ew, t0, t1, t2) in enumerate(points):
        expected = t0 * parts[0] + t0 * t1 * parts[1] + t0 * t1 * t2 * parts[2]
        for strength, name in ((mu_ggf, "ggF"), (mu_ew, "EW")):
            a = (strength**0.5, 1.0)
            for k in range(2):
                for j in range(2):
                    expected += a[k] * a[j] * m[name][k, j]
        assert found[i] == pytest.approx(expected, rel=1e-10)


def test_constants_of_two_groups_stay_apart() -> None:
    names = MODEL.densities
    values = MODEL.coefficients().values(np.array([[2.0, 3.0, 1.0, 1.0, 1.0]]))[0]
    assert names == ("ggF_S", "ggF_SBI", "ggF_B", "EW_S", "EW_SBI1", "EW_B", "qqZZ_0j", "qqZZ_1j", "qqZZ_2j")
    assert values[names.index("ggF_B")] == pytest.approx(1 - 2**0.5, abs=1e-12)
    at_benchmarks = EW.rows(EW.benchmarks)
    assert np.linalg.solve(at_benchmarks.T, [3.0, 3**0.5, 1.0])[0] == pytest.approx(-0.331, abs=5e-4)


def test_one_morphing_of_two_groups_is_refused() -> None:
    contents = {
        "ggF_S": "a", "ggF_SBI": "a + sqrt(a) + 1", "ggF_B": "1",
        "EW_B": "1", "EW_SBI1": "b + sqrt(b) + 1", "EW_SBI10": "10*b + 3.1622776601683795*sqrt(b) + 1",
    }  # fmt: skip
    with pytest.raises(SchemaError, match=r"ggF_B', 'EW_B.*a: ggF_S, ggF_SBI; b: EW_SBI1, EW_SBI10"):
        Morphing(monomials=["a", "sqrt(a)", "b", "sqrt(b)", "1"], benchmarks=contents)
    without_ew_b = {**{k: v for k, v in contents.items() if k != "EW_B"}, "EW_SBI4": "4*b + 2*sqrt(b) + 1"}
    with pytest.raises(SchemaError, match="averaged with that of another"):
        Morphing(monomials=["a", "sqrt(a)", "b", "sqrt(b)", "1"], benchmarks=without_ew_b)


def test_one_amplitude_with_points_of_all_parameters_is_not_a_sum() -> None:
    linear = {"SM": (0, 0), "a": (1, 0), "b": (-1, 0), "c": (0, 1), "d": (0, -1)}
    f = Morphing(monomials=["1", "c1", "c2"], benchmarks=linear).coefficients([0.5, 0.5])
    assert f.sum() == pytest.approx(1.0)


def test_gradient_agrees_with_differences() -> None:
    coefficients = MODEL.coefficients()
    point = np.array([[0.7, 2.1, 1.1, 0.9, 1.3]])
    exact = coefficients.jacobian(point)[0]
    for k in range(5):
        step = np.zeros((1, 5))
        step[0, k] = 1e-5
        slope = (coefficients.values(point + step) - coefficients.values(point - step))[0] / 2e-5
        np.testing.assert_allclose(exact[k], slope, atol=1e-6)


def test_derivatives_diverge_where_a_strength_is_zero() -> None:
    slope = MODEL.coefficients().jacobian(np.array([[0.0, 1.0, 1.0, 1.0, 1.0]]))[0]
    assert slope[0, :3].tolist() == [-np.inf, np.inf, -np.inf]
    assert np.all(np.isfinite(slope[1:]))


def test_derived_parameters_and_factors_by_region() -> None:
    model = Model(
        parameters=(
            ModelParameter("kappa_g", range=(-2, 2)),
            ModelParameter("kappa_V", range=(-2, 2)),
            ModelParameter("t", "normalisation"),
        ),
        derived=(("mu_EW", "strength**2"), ("strength", "kappa_V**2")),
        processes=(
            Process.build("ggF", {"S": "kappa_g * kappa_V", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]}),
            EW,
            Process.build("qqZZ", {"A": "1"}, region_factors={"CR": "t"}),
        ),
        regions=(Region("SR"), Region("CR", "counting")),
    )
    point = np.array([[-1.0, 1.1, 1.4]])
    in_sr, in_cr = model.coefficients("SR").values(point)[0], model.coefficients("CR").values(point)[0]
    np.testing.assert_allclose(in_sr[:3], [1.1**2 + 1.1, -1.1, 1 + 1.1])
    np.testing.assert_allclose(in_sr[3:6], [1.1**4 - 1.1**2, 1.1**2, 1 - 1.1**2])
    assert (in_sr[6], in_cr[6]) == (1.0, 1.4)
    with pytest.raises(SchemaError, match="region 'VR'"):
        model.coefficients("VR")
    np.testing.assert_allclose(model.amplitudes("EW").values(point), [[1.1**2, 1.0]])


def test_benchmarks_as_points_in_the_parameters_behind_derived_ones() -> None:
    derived = resolve_derived({"mu": "kappa**4"}, parameters=["kappa"])
    process = Process.build("EW", {"S": "sqrt(mu)", "B": "1"}, {"a": {"kappa": 2.0}, "b": {"mu": 9.0}}, derived=derived)
    assert [b.vector for b in process.benchmarks] == [(4.0, 1.0), (3.0, 1.0)]


def model(**changes: Any) -> Model:
    """Build a valid model, with some of its parts changed."""
    own = ("ggF_S", "ggF_SBI", "ggF_B")
    parts: dict[str, Any] = {"parameters": MU[:1], "processes": (GGF,), "samples": (Sample("s", "ggF", "ggF_S", own),)}
    return Model(**parts | changes)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"parameters": MU[1:]}, SchemaError, "undefined parameter 'mu_ggF'"),
        ({"parameters": (ModelParameter("mu_gF"),)}, SchemaError, "did you mean 'mu_gF'"),
        ({"processes": (GGF, GGF)}, SchemaError, "'ggF'.* twice"),
        ({"processes": ()}, SchemaError, "processes"),
        ({"processes": (GGF, Process.build("qqZZ", {"A": "1"}))}, SchemaError, "process 'qqZZ'\n.*no sample"),
        ({"samples": (Sample("s", "gF", "ggF_S", ("ggF_S",)),)}, SchemaError, "no such process"),
        ({"samples": (Sample("s", "ggF", "ggF_S", ("ggF_B",)),)}, SchemaError, "its own benchmark"),
        ({"samples": (Sample("s", "ggF", "S", ("S",)),)}, SchemaError, "no benchmarks"),
        ({"derived": (("a", "b"), ("b", "a"))}, SchemaError, "no circle"),
        ({"derived": (("mu_ggF", "2"),)}, SchemaError, "a range and an expression"),
        ({"parameters": (ModelParameter("mu_ggF", range=(-1.0, 6.0)),)}, PhysicsDomainError, r"mu_ggF in \[-1, -0.0"),
        ({"parameters": (ModelParameter("k", range=(-2, 2)),), "derived": (("mu_ggF", "1 - k"),)}, PhysicsDomainError, r"k in \[1.0"),
        ({"regions": (Region("SR", condition="m4l >"),)}, SchemaError, "condition"),
    ],
)
def test_what_a_model_refuses(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        model(**changes)


@pytest.mark.parametrize(
    ("amplitudes", "benchmarks", "message"),
    [
        ({}, None, "no amplitude"),
        ({"S": "sqrt(mu)", "B": "1"}, {"a": [1.0]}, "a number for each of the amplitudes"),
        ({"S": "sqrt(mu)", "B": "1"}, {"a": [0, 0]}, "all amplitudes are zero"),
        ({"S": "sqrt(mu)", "B": "1"}, {"a": {"my": 1.0}}, "undefined parameter 'mu'.*\n.*'my'"),
    ],
)
def test_what_a_process_refuses(amplitudes: dict[str, str], benchmarks: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Process.build("ggF", amplitudes, benchmarks)


def test_a_point_outside_the_domain_of_an_amplitude_is_named_with_its_benchmark() -> None:
    with pytest.raises(PhysicsDomainError, match=r"benchmark 'B', expression 'sqrt\(mu - 1\)'"):
        Process.build("ggF", {"S": "sqrt(mu - 1)"}, {"B": {"mu": 0.0}})


def test_a_parameter_must_lie_in_its_range() -> None:
    with pytest.raises(SchemaError, match="truth of parameter 'mu'"):
        ModelParameter("mu", range=(0.0, 6.0), truth=7.0)
    with pytest.raises(SchemaError, match="low < high"):
        ModelParameter("mu", range=(6.0, 0.0))


def test_an_expression_of_many_parameters_is_looked_at_in_its_corners() -> None:
    names = [f"c{i}" for i in range(6)]
    parameters = tuple(ModelParameter(name, range=(-1.0, 1.0)) for name in names)
    inside = Process.build("p", {"A": f"sqrt(6.5 + {' + '.join(names)})"})
    assert Model(parameters=parameters, processes=(inside,)).densities == ("p",)
    with pytest.raises(PhysicsDomainError, match="c0 = -1, c1 = -1"):
        Model(parameters=parameters, processes=(Process.build("p", {"A": f"sqrt(5.9 + {' + '.join(names)})"}),))


def test_a_benchmark_may_be_written_as_a_sum_of_components() -> None:
    names = {"S": [1, 0], "I": "S*B", "same": "I", "SI": "S + I", "B": "B", "square": "2*S*S"}
    process = Process.build("gg", {"S": "sqrt(mu)", "B": "1"}, names)
    assert process.rows(process.benchmarks).tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [2, 0, 0]]
    assert [process.is_density(b) for b in process.benchmarks] == [True, False, False, False, True, True]
    with pytest.raises(SchemaError, match=r"sum of the components \['S', 'I', 'B'\]"):
        Process.build("gg", {"S": "sqrt(mu)", "B": "1"}, {"X": "S*C"})
