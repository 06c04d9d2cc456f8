"""Ensembles of networks that read theta: how they are trained, normalised and kept."""
