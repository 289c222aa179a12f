"""Evaluation: one event table per run, and metrics that reduce it."""
