"""Matrix calculus: typed expressions, differentials, derivatives (L1, L4.9)."""
