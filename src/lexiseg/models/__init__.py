"""Network blocks that systems share, losses, the text bank, encoder weights; independent of systems.

`output`, `text_supervisor` and `prompt_trace` say what systems offer, `spec` describes a network as data.
`pyramid`, `tokens` and `plain_network` are parts of the compact networks, `encoder_weights` and
`network_weights` load and save. What only one system has belongs to its folder in `systems`.
"""
