"""Network blocks that systems share, losses, the text bank, encoder weights; independent of systems."""
