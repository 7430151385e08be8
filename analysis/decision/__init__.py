"""How many timesteps are needed, with a statement that holds."""
