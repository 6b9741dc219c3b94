"""Values of options that functions and the command line share; the module is small, so that --help is quick.

Values that belong to one configuration are beside it, as in `lexiseg.systems.configuration`, and names of
engines and systems are in their registries.
"""

from __future__ import annotations

from typing import Literal

#: A split of a data set.
Split = Literal["train", "val", "test"]
#: How the option `axis` chooses the slices of a volume: by the plane of the body, or by the voxel axis that
#: they are counted along.
AxisName = Literal["auto", "axial", "coronal", "sagittal", "i", "j", "k"]
#: The type of numbers that an engine computes with: 32 bits, or the 16 bits of bfloat16.
Precision = Literal["fp32", "bf16"]
#: Such a type, or "auto": bf16 where engine and processor have it, else fp32.
PrecisionChoice = Literal["auto", "fp32", "bf16"]
#: How a model file holds its weights.
WeightsType = Literal["fp32", "fp16", "shared"]
#: Sources of descriptions, from the least to the most certain.
DescriptionSource = Literal["lmm", "reports", "concepts"]
