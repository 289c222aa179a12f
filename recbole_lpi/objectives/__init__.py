"""Objectives: every policy is  weight × cross-entropy + λ × TD error  (paper, Eq. 10)."""
