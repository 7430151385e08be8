"""The integer semantics: its definition, proofs that nothing overflows, and the limits of the chip."""
