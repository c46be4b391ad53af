"""From a function to the steps of both passes, their checks and counts: an explanation as data."""
