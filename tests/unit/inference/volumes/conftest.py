from random_runs import images, made, make_run

__all__ = ["images", "made", "make_run"]
