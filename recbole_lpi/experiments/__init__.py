"""Experiments: finished runs side by side, and sweeps that make them.

Tables and figures read event tables; only a sweep starts runs, and training is left to the plug-in.
"""
