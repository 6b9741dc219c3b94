"""Training: the teacher, which alone may see text and masks."""
