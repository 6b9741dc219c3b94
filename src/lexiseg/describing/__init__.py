"""Description files: the words of each image, from measurements, reports or a multimodal model."""
