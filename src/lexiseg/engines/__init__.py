"""Engines, which compute a network: images in, mask scores and phrase probabilities out, all as arrays.

`engine` defines what an engine is, `registry` lists the engines. `torch_engine` runs the network of a run
with torch. `onnx_engine` and `openvino_engine` run a model file that `lexiseg export` wrote; they need no
torch, `network_inputs` names their inputs, and `grid` resizes their scores. `model_file` reads and checks
such files, `choice` decides which engine predicts.
"""

import os

# onnxruntime 1.32 and newer reports its use to its maker, and keeps a number of the device in the cache
# folder, unless this is set before it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
