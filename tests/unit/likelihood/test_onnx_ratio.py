"""OnnxRatio on small files made by hand: every expected number follows from the matrices below."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from toolkit.errors import ArtifactMismatchError, InputFileError, PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood import OnnxRatio

WEIGHTS = np.array([[1.0, -2.0, 0.5], [0.25, 1.0, -1.0]])  # numerator, column
BIAS = np.array([0.5, -3.0])
COLUMNS = ("m4l", "cos_theta_1", "mu")

Writer = Callable[..., Path]


def describe(**changes: object) -> str:
    document = {
        "schema": 1,
        "features": [
            {"name": "m4l", "unit": "GeV", "training_range": [220.0, 2000.0]},
            {"name": "cos_theta_1", "unit": "", "training_range": [-1.0, 1.0]},
        ],
        "parameters": [{"name": "mu", "unit": "", "training_range": [0.0, 6.0]}],
        "numerators": ["ggF_S", "ggF_B"],
        "reference": "qqZZ",
        "estimator": "carl",
        "ensemble_size": 2,
    }
    return json.dumps({key: value for key, value in (document | changes).items() if value is not None})


def linear_twin(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the file below computes, entry by entry."""
    result = np.zeros((len(x), len(BIAS)))
    for i, row in enumerate(x):
        for j, bias in enumerate(BIAS):
            result[i, j] = bias + sum(w * value for w, value in zip(WEIGHTS[j], row, strict=True))
    return result


def build(
    *,
    metadata: str | None,
    batch: str | int = "batch",
    kind: int = TensorProto.FLOAT,
    spread: bool = True,
    nodes: list[onnx.NodeProto] | None = None,
    input_name: str = "observables",
) -> onnx.ModelProto:
    dtype = np.float64 if kind == TensorProto.DOUBLE else np.float32
    linear = [helper.make_node("Gemm", [input_name, "w", "b"], ["log_ratio"], transB=1)]
    if spread:
        linear.append(helper.make_node("Abs", ["log_ratio"], ["log_ratio_spread"]))
    outputs = ["log_ratio", "log_ratio_spread"] if spread else ["log_ratio"]
    graph = helper.make_graph(
        nodes or linear,
        "linear",
        [helper.make_tensor_value_info(input_name, kind, [batch, 3])],
        [helper.make_tensor_value_info(name, kind, [batch, 2]) for name in outputs],
        [numpy_helper.from_array(WEIGHTS.astype(dtype), "w"), numpy_helper.from_array(BIAS.astype(dtype), "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    if metadata is not None:
        helper.set_model_props(model, {"h4l": metadata})
    return model


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    def write_model(*, metadata: str | None = describe(), **options: object) -> Path:
        path = tmp_path / "ratio.onnx"
        path.write_bytes(build(metadata=metadata, **options).SerializeToString())  # type: ignore[arg-type]
        return path

    return write_model


@pytest.fixture
def ratio(write: Writer) -> OnnxRatio:
    return OnnxRatio(write(), threads=1)


def rows(n: int, seed: int = 0) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    return np.stack([generator.uniform(220, 2000, n), generator.uniform(-1, 1, n), generator.uniform(0, 6, n)], axis=1)


def test_values_equal_the_loop(ratio: OnnxRatio) -> None:
    x = rows(200)
    expected = linear_twin(x)
    assert ratio(x).dtype == np.float64
    np.testing.assert_allclose(ratio(x), expected, rtol=3e-7, atol=1e-6)
    np.testing.assert_allclose(ratio.spread(x), np.abs(expected), rtol=3e-7, atol=1e-6)
    np.testing.assert_array_equal(ratio.with_spread(x), [ratio(x), ratio.spread(x)])


def test_hand_computed_row(ratio: OnnxRatio) -> None:
    # 300 - 2 * 0.5 + 0.5 * 4 + 0.5 = 301.5 and 0.25 * 300 + 0.5 - 4 - 3 = 68.5: exact in float32
    assert ratio(np.array([[300.0, 0.5, 4.0]])).tolist() == [[301.5, 68.5]]


def test_rows_keep_their_order_across_batches(ratio: OnnxRatio) -> None:
    x = rows(25_003)
    expected = x @ WEIGHTS.T + BIAS
    np.testing.assert_allclose(ratio(x), expected, rtol=3e-7, atol=1e-6)
    np.testing.assert_allclose(ratio(x)[19_990:20_010], ratio(x[19_990:20_010]), rtol=1e-6)


def test_float32_and_strided_input_give_the_same(ratio: OnnxRatio) -> None:
    x = rows(50)
    wide = np.repeat(x, 2, axis=1)
    assert np.array_equal(ratio(x), ratio(x.astype(np.float32)))
    assert np.array_equal(ratio(x), ratio(wide[:, ::2]))


def test_no_rows_give_no_rows(ratio: OnnxRatio) -> None:
    assert ratio(np.empty((0, 3))).shape == (0, 2)
    assert ratio.spread(np.empty((0, 3))).shape == (0, 2)


def test_input_is_not_modified(ratio: OnnxRatio) -> None:
    x = rows(10)
    before = x.copy()
    ratio(x)
    assert np.array_equal(x, before)


def test_description(ratio: OnnxRatio) -> None:
    assert ratio.features == ("m4l", "cos_theta_1")
    assert ratio.parameters == ("mu",)
    assert ratio.units == ("GeV", "", "")
    assert ratio.numerators == ("ggF_S", "ggF_B")
    assert (ratio.reference, ratio.metadata.estimator, ratio.metadata.ensemble_size) == ("qqZZ", "carl", 2)
    assert "m4l, cos_theta_1, mu" in repr(ratio)


def test_columns_are_stacked_in_the_order_of_the_network(ratio: OnnxRatio) -> None:
    observables = {"mu": 2.0, "cos_theta_1": np.array([0.25, -0.5]), "other": np.array([9.0, 9.0, 9.0]), "m4l": np.array([300, 400])}
    assert ratio.columns(observables).tolist() == [[300.0, 0.25, 2.0], [400.0, -0.5, 2.0]]


def test_missing_column_is_named_with_the_nearest(ratio: OnnxRatio) -> None:
    with pytest.raises(SchemaError, match=r"cos_theta_1 missing[\s\S]*did you mean cos_theta1\?"):
        ratio.columns({"m4l": np.ones(2), "cos_theta1": np.ones(2), "mu": 1.0})


def test_columns_of_different_length_are_refused(ratio: OnnxRatio) -> None:
    with pytest.raises(ShapeError, match="'m4l': 2, 'cos_theta_1': 3"):
        ratio.columns({"m4l": np.ones(2), "cos_theta_1": np.ones(3), "mu": 1.0})
    with pytest.raises(ShapeError, match="single numbers only"):
        ratio.columns({"m4l": 1.0, "cos_theta_1": 1.0, "mu": 1.0})


def test_columns_that_are_not_numbers_are_refused(ratio: OnnxRatio) -> None:
    with pytest.raises(SchemaError, match="observable m4l"):
        ratio.columns({"m4l": np.array(["a", "b"]), "cos_theta_1": np.ones(2), "mu": 1.0})


def test_masked_column_becomes_missing_and_is_refused_by_the_call(ratio: OnnxRatio) -> None:
    masked = np.ma.masked_array([300, 400], mask=[False, True])
    x = ratio.columns({"m4l": masked, "cos_theta_1": np.zeros(2), "mu": 1.0})
    with pytest.raises(PhysicsDomainError, match="m4l in row 1"):
        ratio(x)


def test_outside_training_range(ratio: OnnxRatio) -> None:
    x = np.array([[220.0, 1.0, 6.0], [219.0, 0.0, 6.5], [2000.5, -1.1, 0.0]])
    assert ratio.outside_training_range(x).tolist() == [[False, False, False], [True, False, True], [True, True, False]]


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.array([[300.0, 0.0, 1.0], [300.0, np.nan, 1.0]]), PhysicsDomainError, r"cos_theta_1 in row 1[\s\S]*nan"),
        (np.array([[np.inf, 0.0, 1.0]]), PhysicsDomainError, "m4l in row 0"),
        (np.array([[300.0, 0.0, 1e39]]), PhysicsDomainError, r"mu in row 0[\s\S]*1e\+39"),
        (np.ones((4, 2)), ShapeError, r"\(4, 2\)[\s\S]*m4l, cos_theta_1, mu"),
        (np.ones(3), ShapeError, r"\(3,\)"),
        (np.ones((2, 3), dtype=np.int64), SchemaError, "int64"),
        (np.ones((2, 3), dtype=np.float16), SchemaError, "float16"),
        (np.ones((2, 3), dtype=object), SchemaError, "object"),
        ([[300, 0, 1]], SchemaError, "int64"),
        ([[1.0, 2.0, "x"]], SchemaError, "dtype <U"),
        (np.ma.masked_array(np.ones((2, 3)), mask=np.eye(2, 3)), SchemaError, "masked"),
    ],
)
def test_bad_input_is_refused(ratio: OnnxRatio, x: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ratio(x)  # type: ignore[arg-type]
    with pytest.raises(error, match=message):
        ratio.spread(x)  # type: ignore[arg-type]


def test_result_that_is_not_finite_is_refused(write: Writer) -> None:
    nodes = [helper.make_node("Gemm", ["observables", "w", "b"], ["sum"], transB=1), helper.make_node("Log", ["sum"], ["log_ratio"])]
    ratio = OnnxRatio(write(nodes=nodes, spread=False))
    good = [300.0, 0.0, 0.0]
    assert ratio(np.array([good]))[0, 0] == pytest.approx(np.log(300.5), abs=1e-6)
    with pytest.raises(PhysicsDomainError, match=r"numerator ggF_B[\s\S]*nan in row 1"):
        ratio(np.array([good, [4.0, 0.0, 0.0]]))


def test_spread_of_a_single_network_is_refused(write: Writer) -> None:
    ratio = OnnxRatio(write(spread=False, metadata=describe(ensemble_size=1)))
    assert not ratio.has_spread
    with pytest.raises(ArtifactMismatchError, match="log_ratio_spread"):
        ratio.spread(rows(2))
    with pytest.raises(ArtifactMismatchError, match="log_ratio_spread"):
        ratio.with_spread(rows(2))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=r"absent\.onnx"):
        OnnxRatio(tmp_path / "absent.onnx")
    with pytest.raises(InputFileError, match="IsADirectoryError"):
        OnnxRatio(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not ONNX at all", b"root\x00\x00" * 100, b'{"h4l": 1}'])
def test_file_that_is_not_onnx(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.onnx"
    path.write_bytes(content)
    with pytest.raises((InputFileError, ArtifactMismatchError), match=r"text\.onnx"):
        OnnxRatio(path)


def test_no_truncated_file_is_accepted(write: Writer) -> None:
    path = write()
    content = path.read_bytes()
    assert len(content) > 500
    for size in range(0, len(content), 3):
        path.write_bytes(content[:size])
        with pytest.raises((InputFileError, ArtifactMismatchError, SchemaError)):
            OnnxRatio(path, threads=1)


def test_onnx_without_our_metadata(write: Writer) -> None:
    with pytest.raises(ArtifactMismatchError, match="no metadata key h4l"):
        OnnxRatio(write(metadata=None))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("not json", "metadata key h4l"),
        ("[1, 2]", "metadata key h4l"),
        (describe(numerators=None), "numerators"),
        (describe(features=None), "features"),
        (describe(features=["m4l", "cos_theta_1"]), "a feature"),
        (describe(features=[{"name": "m4l", "training_range": [0, 1]}]), "unit"),
        (describe(features=[{"name": "m4l", "unit": "GeV", "training_range": [1, 0]}]), "low <= high"),
        (describe(numerators=["ggF_S", "ggF_S"]), "repeated"),
        (describe(schema=2), "schema"),
    ],
)
def test_metadata_of_another_form(write: Writer, metadata: str, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        OnnxRatio(write(metadata=metadata))


@pytest.mark.parametrize(
    "options",
    [
        {"metadata": describe(parameters=[])},
        {"metadata": describe(numerators=["ggF_S", "ggF_B", "ggF_SBI"])},
        {"batch": 1},
        {"kind": TensorProto.DOUBLE},
        {"input_name": "features"},
    ],
)
def test_graph_that_does_not_fit_its_metadata(write: Writer, options: dict[str, object]) -> None:
    with pytest.raises(ArtifactMismatchError, match="do not fit its own metadata"):
        OnnxRatio(write(**options))


def test_file_with_weights_beside_it_is_refused(write: Writer, tmp_path: Path) -> None:
    path = write()
    model = onnx.load(path)
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").exists()
    with pytest.raises(InputFileError, match="self-contained"):
        OnnxRatio(path)


def test_thread_count_is_checked(write: Writer) -> None:
    x = rows(5)
    assert np.array_equal(OnnxRatio(write(), threads=2)(x), OnnxRatio(write(), threads=1)(x))
    with pytest.raises(SchemaError, match="threads"):
        OnnxRatio(write(), threads=0)


def test_pickled_ratio_opens_the_file_again(ratio: OnnxRatio) -> None:
    copy = pickle.loads(pickle.dumps(ratio))
    assert np.array_equal(copy(rows(5)), ratio(rows(5)))


def test_works_where_torch_cannot_be_imported(write: Writer) -> None:
    script = f"""
        import sys
        class NoTorch:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == "torch":
                    raise ImportError("torch is not installed here")
        sys.meta_path.insert(0, NoTorch())
        import numpy as np
        from toolkit.likelihood import OnnxRatio
        print(OnnxRatio({str(write())!r}, threads=1)(np.array([[300.0, 0.5, 4.0]])).tolist())
        try:
            import torch
        except ImportError:
            print("without torch")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[[301.5, 68.5]]\nwithout torch"
