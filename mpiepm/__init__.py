"""Thermal elastoplastic models on a two-dimensional lattice, distributed over MPI ranks."""

from importlib.metadata import version

__version__ = version("mpiepm")
