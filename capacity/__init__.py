"""Capacity planning and cost-to-serve forecasting."""

__version__ = "0.1.0"
