"""Backward passes written by hand: run, compared with numbers, and the likely mistake named."""
