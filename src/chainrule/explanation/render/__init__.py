"""An explanation as text, Markdown, LaTeX, MathML, HTML, JSON and for Graphviz."""
