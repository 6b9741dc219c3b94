"""Distillation: finished runs teach a network with the soft masks that they draw.

`teacher_runs` says which runs can teach a training, `soft_targets` draws their masks and trains on them.
"""
