"""Matrix products of our own: how they are cut, their kernels, their copies."""
