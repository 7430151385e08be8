"""From physical units to integers: statistics, scales, rounding, and what each choice costs."""
