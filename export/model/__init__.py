"""What a network is: populations, connections, the input, and the widths of the chip's registers."""
