"""The weights of our networks under their published names: the opposite of what a conversion does."""

from __future__ import annotations

from torch import Tensor

from lexiseg.systems.cotexnet import published_keys as cotexnet_keys
from lexiseg.systems.cotexnet.paper_network import CoTexNet
from lexiseg.systems.stpnet import published_keys as stpnet_keys
from lexiseg.systems.stpnet.paper_network import StpNet


def published_stpnet(net: StpNet) -> dict[str, Tensor]:
    """Return the network's state_dict under the published names, without the keys that are never used."""
    names = stpnet_keys.published_names(net)
    return {names[ours]: value for ours, value in net.state_dict().items()}


def published_cotexnet(net: CoTexNet) -> dict[str, Tensor]:
    """Return the network's state_dict under the published names, without the keys that are never used.

    As published, it holds the frozen vision tower twice; both share their memory.
    """
    names = cotexnet_keys.published_names(net)
    published = {names[ours]: value for ours, value in net.state_dict().items()}
    return published | {
        copy: published[original] for copy, original in cotexnet_keys.roi_tower_names(net).items()
    }
