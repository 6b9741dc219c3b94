"""The version of Lexiseg."""

__version__ = "0.2.0.dev0"
