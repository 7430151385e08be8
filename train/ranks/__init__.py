"""Processes that train one network together, and random numbers that do not depend on how many."""
