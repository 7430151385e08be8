"""Commands that train networks, most of them many."""
