"""Neural ratio estimation for four-lepton measurements, beside the histogram fit."""

__version__ = "0.1.0"
__all__ = ["__version__"]
