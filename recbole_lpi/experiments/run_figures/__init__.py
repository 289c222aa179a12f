"""Figures of finished runs, a module each: a table, which is the CSV, and what is drawn of it."""
