"""Formulas: expressions, how they are read, built from graphs, simplified and written."""
