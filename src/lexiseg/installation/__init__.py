"""The installation: its packages, engines, devices and disks, and a self-test of prediction."""

from __future__ import annotations
