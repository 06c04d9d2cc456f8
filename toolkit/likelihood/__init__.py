"""Likelihoods of the signal strength, unbinned and binned, and the ratios they read."""

from toolkit.likelihood.onnx_ratio import OnnxRatio

__all__ = ["OnnxRatio"]
