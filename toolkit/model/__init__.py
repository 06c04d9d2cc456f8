"""The physics model: parameters, processes as coherent sums of amplitudes, benchmarks, samples, regions. Pure mathematics, no events."""

from toolkit.model.bases import BASES, Basis, wilson_monomials
from toolkit.model.coefficients import Coefficients
from toolkit.model.densities import density_expressions, density_transform, learned_densities
from toolkit.model.matrices import class_matrix, solve_matrices
from toolkit.model.model import Component, Model
from toolkit.model.parameterisations import PARAMETERISATIONS, Parameterisation, parameterisation
from toolkit.model.parameters import ModelParameter
from toolkit.model.processes import Amplitude, Benchmark, Process, Split
from toolkit.model.products import determines_matrix, solve_products
from toolkit.model.regions import Region, Sample
from toolkit.model.wilson import mass_eigenstate_couplings, scale_limits

__all__ = [
    "BASES",
    "PARAMETERISATIONS",
    "Amplitude",
    "Basis",
    "Benchmark",
    "Coefficients",
    "Component",
    "Model",
    "ModelParameter",
    "Parameterisation",
    "Process",
    "Region",
    "Sample",
    "Split",
    "class_matrix",
    "density_expressions",
    "density_transform",
    "determines_matrix",
    "learned_densities",
    "mass_eigenstate_couplings",
    "parameterisation",
    "scale_limits",
    "solve_matrices",
    "solve_products",
    "wilson_monomials",
]
