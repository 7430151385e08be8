"""The fast spike-exact engine."""
