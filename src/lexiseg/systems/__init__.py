"""The systems that can be trained: one folder each."""
