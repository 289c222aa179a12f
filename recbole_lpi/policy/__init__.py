"""A policy: an encoder, a softmax over the items, auxiliary heads, and their losses."""
