"""Measurements on the large benchmark sample, run by hand: `python -m benchmarks.NAME --data FOLDER`."""
