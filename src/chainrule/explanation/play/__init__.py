"""A page that trains a network in the browser, its arithmetic recorded here (L1.9, L4.8)."""
