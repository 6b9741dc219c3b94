"""Descriptions by a large multimodal model that is shown the region of interest.

Reference: CoTexNet, "Learning Conceptual Text Prompts from Visual Regions of Interest for Medical Image
Segmentation", Engineering, 2026.
"""
