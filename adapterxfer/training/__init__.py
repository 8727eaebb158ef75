"""The training loop, its recipe, checkpoints and interruption."""
