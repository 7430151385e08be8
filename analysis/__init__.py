"""Information over time, truncation, energy, latency, reports."""
