"""`.nir` files of other frameworks become networks in physical units."""
