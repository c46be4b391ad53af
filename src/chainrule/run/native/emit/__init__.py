"""Writing a plan as the text of a module: loops, products, and what calls them."""
