"""Files that other programs read: ONNX networks with the rows to check them against."""

from exports.onnx_writer import OnnxExport, write_onnx
from exports.parity import Parity
from exports.reference import choose_reference_rows
from toolkit.artifacts.onnx_metadata import Feature

__all__ = ["Feature", "OnnxExport", "Parity", "choose_reference_rows", "write_onnx"]
