"""Exchange with other formats: published checkpoints, public data sets."""
