"""Experiments: finished runs side by side. Event tables are read, no model is trained."""
