"""Training: the loop over epochs, one step of it, and what a run keeps."""
