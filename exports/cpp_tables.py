"""The numbers behind `h4l/matrix_elements.h`: parton densities and the network of gg -> ZZ, as a C++ header."""

from __future__ import annotations

import onnx
from numpy.typing import NDArray

from toolkit.kinematics.gg_network import network_file
from toolkit.kinematics.parton_densities import coefficients

NAME = "matrix_element_tables.h"
PARTONS = ("u", "ubar", "d", "dbar", "s", "c", "b")
LAYERS = tuple(f"{kind}{k}" for k in range(4) for kind in ("w", "b"))


def matrix_element_tables() -> str:
    """Write the header.

    Returns:
        Its text: `parton_density[parton][function of x][power of the logarithm of the scale]`, and weights and biases of the layers. Floats
        have nine digits, which single precision keeps.
    """
    densities = [coefficients(name) for name in PARTONS]
    layers = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load_model_from_string(network_file()).graph.initializer}
    n_functions, n_levels = densities[0].shape
    lines = [
        "// Numbers of h4l/matrix_elements.h, written by h4l cpp: parton densities over that of the gluon, and the network of gg -> ZZ.",
        "#ifndef H4L_MATRIX_ELEMENT_TABLES_H",
        "#define H4L_MATRIX_ELEMENT_TABLES_H",
        "",
        "#include <cstddef>",
        "",
        "namespace h4l::tables {",
        "",
        f"inline constexpr std::size_t n_functions = {n_functions}, n_levels = {n_levels};",
        f"inline constexpr double parton_density[{len(PARTONS)}][n_functions][n_levels] = {{",
        *(f"   {_matrix(values, 'r')},  // {name}" for name, values in zip(PARTONS, densities, strict=True)),
        "};",
    ]
    for name in LAYERS:
        values = layers[name]
        size = "".join(f"[{n}]" for n in values.shape)
        lines.append(f"inline constexpr float {name}{size} = {_matrix(values, '.9g')};")
    return "\n".join([*lines, "", "}  // namespace h4l::tables", "", "#endif", ""])


def _matrix(values: NDArray, form: str) -> str:  # type: ignore[type-arg]
    """Write nested braces; `r` keeps every digit of a double, others are of single precision."""
    if values.ndim:
        return "{" + ", ".join(_matrix(row, form) for row in values) + "}"
    if form == "r":
        return repr(float(values))
    text = format(float(values), form)
    return text + ("f" if "." in text or "e" in text else ".0f")
