"""Public data sets: a registry of facts, downloads, and the conversion to the folder layout of Lexiseg."""
