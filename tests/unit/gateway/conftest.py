from gateway_fixtures import load_once, shipped

__all__ = ["load_once", "shipped"]
