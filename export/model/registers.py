"""Register widths of Loihi as Lava 0.10 simulates it in fixed point.

Every limit of the integer semantics is named here.

Source: `lava.proc.lif.models.PyLifModelBitAcc` and `lava.proc.dense.models.PyDenseModelBitAcc`,
read and executed.
"""

STATE_BITS = 24
"""Width of synaptic current u and membrane potential v."""
STATE_LIMIT = 1 << (STATE_BITS - 1)
"""v saturates at +-(STATE_LIMIT - 1); u wraps around once beyond it."""
STATE_SHIFT = 6
"""Synaptic input and threshold are shifted left by this: one weight unit is 64 state units."""
STATE_UNIT = 1 / (1 << STATE_SHIFT)
"""u and v count in this share of a weight unit."""
DECAY_SHIFT = 12
DECAY_UNITY = 1 << DECAY_SHIFT
"""du and dv count in 1/4096 of the state per timestep."""
DU_NO_MEMORY = DECAY_UNITY - 1
"""du at which no synaptic current is left at the next step (the chip adds 1 to du)."""
THRESHOLD_MAX = (1 << 17) - 1
BIAS_MANTISSA_MIN, BIAS_MANTISSA_MAX = -(1 << 12), (1 << 12) - 1
BIAS_EXPONENT_MAX = 7
WEIGHT_BITS_MIN = 2
WEIGHT_BITS_MAX = 8
WEIGHT_EXPONENT_MIN, WEIGHT_EXPONENT_MAX = -16, 7
"""Chosen here: Lava enforces none; the chip's signed 4-bit exponent is relative to 6 more bits of
alignment.
"""
GRADED_BITS_MAX = 24
"""Largest graded message that Lava's ports carry without loss."""
DELAY_MAX = 62
"""Largest delay of a connection in hardware timesteps, after alignment."""
NOISE_FRACTION_BITS = 15
"""Noise is `(r * amplitude) >> 15` with r a signed 16-bit random integer."""
RATE_BITS = 16
"""Intensities of a rate code count in 2**-16; so do the random integers they are compared with."""
