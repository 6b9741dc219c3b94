"""What a training needs of its machine.

`memory` estimates the memory, `step_times` measures steps, `shared_memory` tells whether worker processes can
be used; `resources` chooses caching, precision and workers by them.
"""
