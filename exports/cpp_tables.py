"""The numbers behind `h4l/matrix_elements.h`: parton densities and the networks of gg -> ZZ, as a C++ header."""

from __future__ import annotations

import onnx
from numpy.typing import NDArray

from toolkit.kinematics.gg_network import BOX_FILE, FILE, network_file
from toolkit.kinematics.parton_densities import coefficients

NAME = "matrix_element_tables.h"
PARTONS = ("u", "ubar", "d", "dbar", "s", "c", "b")
NETWORKS = {"Gluons": FILE, "Box": BOX_FILE}
LAYERS = tuple(f"{kind}{k}" for k in range(4) for kind in ("w", "b"))


def matrix_element_tables() -> str:
    """Write the header.

    Returns:
        Its text: `parton_density[parton][function of x][power of the logarithm of the scale]`, and for every network a struct with weights
        and biases of the layers. Floats have nine digits, which single precision keeps.
    """
    densities = [coefficients(name) for name in PARTONS]
    n_functions, n_levels = densities[0].shape
    lines = [
        "// Numbers of h4l/matrix_elements.h, written by h4l cpp: parton densities over that of the gluon, and the networks of gg -> ZZ.",
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
    for network, file in NETWORKS.items():
        lines += [f"struct {network} {{", *(f"   {line}" for line in _layers(file)), "};"]
    return "\n".join([*lines, "", "}  // namespace h4l::tables", "", "#endif", ""])


def _layers(file: str) -> list[str]:
    """Write the layers of a network as constants."""
    layers = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load_model_from_string(network_file(file)).graph.initializer}
    sizes = {name: "".join(f"[{n}]" for n in layers[name].shape) for name in LAYERS}
    return [f"static constexpr float {name}{size} = {_matrix(layers[name], '.9g')};" for name, size in sizes.items()]


def _matrix(values: NDArray, form: str) -> str:  # type: ignore[type-arg]
    """Write nested braces; `r` keeps every digit of a double, others are of single precision."""
    if values.ndim:
        return "{" + ", ".join(_matrix(row, form) for row in values) + "}"
    if form == "r":
        return repr(float(values))
    text = format(float(values), form)
    return text + ("f" if "." in text or "e" in text else ".0f")
