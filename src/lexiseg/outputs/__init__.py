"""Folders that Lexiseg writes to: one process at a time, and nothing that it did not write is replaced."""
