"""Output that is safe to look at: escaping per context, tables, SVG, pages with a policy.

Knows nothing of graphs, so that explanations and reports share it.
"""
