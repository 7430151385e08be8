"""What fixes a training: configuration, methods, recipes, losses, optimizers."""
