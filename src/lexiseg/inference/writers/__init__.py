"""Output formats of a batch of predictions, one module per format.

`base` defines a writer, `registry` lists the formats by name. `mask`, `overlay`, `card` and `probability`
write one file per image, `records` writes one line per image. A new format is a module, and an entry in
`registry`.
"""
