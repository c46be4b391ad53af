"""The picture of a graph: modules, layout, scene, SVG and PNG."""
