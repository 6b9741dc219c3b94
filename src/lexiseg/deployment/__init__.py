"""Deployment: a run as one model file that other engines compute, compared with torch image by image.

`export` makes the file. `onnx_model` makes the ONNX model of a network. `onnx_file` writes it, and `weights`
stores its weights in half precision or shares those of the run; `openvino_archive` converts it for OpenVINO.
`parity` compares a file with the engine torch.
"""
