"""What every network states and few tests are about: its timestep, where its decays come from, bits
of its weights.
"""

PER_STEP = {"dt": 1e-3, "integrator": "per timestep"}
INT8 = {**PER_STEP, "weight_bits": 8}
