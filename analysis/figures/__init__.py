"""SVG: charts, their labels, and the figures of the pages."""
