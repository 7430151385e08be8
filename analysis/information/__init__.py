"""Fisher information over timesteps."""
