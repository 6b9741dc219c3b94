"""Description files: the words of each image, from measurements, from reports or from a multimodal model."""
