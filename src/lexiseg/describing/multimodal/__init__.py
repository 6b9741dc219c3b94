"""Words from a large multimodal model that sees the region of interest: asked, validated, checked, kept.

Reference: CoTexNet, "Learning Conceptual Text Prompts from Visual Regions of Interest for Medical Image
Segmentation", Engineering, 2026.
"""
