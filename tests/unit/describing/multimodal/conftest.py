from lmm_fixtures import discs, no_waiting

__all__ = ["discs", "no_waiting"]
