"""One self-contained page to step through, with sliders."""
