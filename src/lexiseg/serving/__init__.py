"""Serving: prediction and refinement over HTTP, from one process; and the client of such a server.

`records` is the contract: what requests and answers hold.
"""
