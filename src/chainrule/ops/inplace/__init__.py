"""Code that writes in place, on traced arrays."""
