"""STPNet: the published network (preset `paper`) and ours (preset `compact`)."""

from lexiseg.models.stpnet.paper import StpNet, StpNetOutput
from lexiseg.models.stpnet.published import load_published

__all__ = ["StpNet", "StpNetOutput", "load_published"]
