"""From an image to its results.

`worker` takes waiting images from the queue. `routing` finds the rule that an image follows,
`classification` says what happens to images without one, `batch` predicts images by one rule, and
`result_files` names their results.
"""
