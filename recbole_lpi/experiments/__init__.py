"""Experiments: sweeps of runs, and the tables and figures that read them."""
