"""Text encoders and text banks. Used in training only."""
