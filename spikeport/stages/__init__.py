"""The stages of the whole path: each reads what earlier stages left and writes one file of its own."""
