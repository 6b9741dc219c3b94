"""CoTexNet: the published network (preset `paper`) and ours (preset `compact`)."""
