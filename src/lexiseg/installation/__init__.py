"""The installation: its packages, engines, devices and disks, and a self-test of prediction.

`check` puts it together: `packages`, `machine`, and `self_test` with what it expects (`expectation`).
`report` is the result.
"""

from __future__ import annotations
