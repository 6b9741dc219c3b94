"""Exchange with other formats: published checkpoints."""
