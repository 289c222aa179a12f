"""Sessions: the flat store, its split into parts, and batches of it."""
