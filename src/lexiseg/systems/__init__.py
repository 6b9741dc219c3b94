"""The systems that can be trained, one folder each; `registry` finds them by name and preset.

`system` says what a system offers, `configuration` and `compact_configuration` hold the fields that systems
share. A system imports no other one; `lexiseg.models` holds what they share.
"""
