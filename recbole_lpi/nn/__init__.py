"""The networks: encoder, heads and the catalogue pass. Torch only."""
