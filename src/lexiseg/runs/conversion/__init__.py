"""From published checkpoints to run folders."""
