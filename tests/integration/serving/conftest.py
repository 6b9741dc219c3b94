from serving_fixtures import client, picture, serving

__all__ = ["client", "picture", "serving"]
