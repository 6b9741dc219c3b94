"""Description files: the words of each image, from measurements, reports or a multimodal model.

`describe` writes the file, `description_file` reads it. `description_rows` measures or reads the words of
each image and class, `multimodal` asks a model for them, and `vocabulary_choice` finds the vocabulary.
"""
