"""Statistics, numbers for people, and JSON."""
