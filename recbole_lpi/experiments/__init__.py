"""Experiments: finished runs side by side, and sweeps that make them.

Tables and figures read event tables; only a sweep starts runs, and it leaves training to the host.
"""
