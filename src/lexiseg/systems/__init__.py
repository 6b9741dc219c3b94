"""The systems that can be trained, one folder each; `registry` finds them by name and preset."""
