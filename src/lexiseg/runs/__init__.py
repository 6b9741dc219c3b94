"""Run folders: the manifest, the models that come with Lexiseg, and conversion of published checkpoints."""
