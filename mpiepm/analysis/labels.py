"""Estimates as variables of an xarray.Dataset: X, its standard error X_error, and X_correlation (`analysis.errors`)."""

import numpy as np
import xarray

from mpiepm.analysis.errors import Estimate


def add(result: xarray.Dataset, name: str, dims: tuple[str, ...], estimate: Estimate, units: str = "1") -> None:
    """Add the three to `result`."""
    result[name] = (dims, estimate.value, {"units": units})
    result[f"{name}_error"] = (dims, estimate.error, {"units": units, "description": "standard error"})
    description = "integrated autocorrelation time of the origins, in origins"
    correlation = np.broadcast_to(estimate.correlation, np.shape(estimate.value))  # 1 for a single origin
    result[f"{name}_correlation"] = (dims, correlation, {"units": "1", "description": description})
