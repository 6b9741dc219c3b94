"""The version of Lexiseg."""

__version__ = "0.1.0"
