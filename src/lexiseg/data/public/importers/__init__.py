"""Readers of public data sets, one for each form of publication."""
