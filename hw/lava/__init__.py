"""Intel Lava backend: processes, process models, runtime."""
