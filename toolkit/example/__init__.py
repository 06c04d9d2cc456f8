"""The ntuples and the config of `h4l demo`: a cut of the benchmark sample, made by examples/make_example_ntuples.py."""

from toolkit.example.paths import demo_config, example_folder

__all__ = ["demo_config", "example_folder"]
