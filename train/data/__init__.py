"""Data sets: by name, and the readers of their files."""
