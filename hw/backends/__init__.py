"""One call for every backend, and their comparison spike for spike."""
