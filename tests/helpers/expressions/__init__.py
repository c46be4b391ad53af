"""Expressions of NumPy, one a line, that the tests of the surface and other libraries run."""
