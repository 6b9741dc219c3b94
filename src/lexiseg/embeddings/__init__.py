"""Text encoders, and the text banks that they make. Used in training only."""
