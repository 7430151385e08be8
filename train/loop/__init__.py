"""The trainer, and what surrounds it: evaluation, checkpoints, resuming, fine-tuning."""
