"""Training: its configuration, plan and loop, from a data set to a run folder."""
