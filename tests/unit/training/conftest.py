from __future__ import annotations

from tiny_phantom import hash_encoder, index, no_text_model, phantom, tiny_options, tiny_run

__all__ = ["hash_encoder", "index", "no_text_model", "phantom", "tiny_options", "tiny_run"]
