"""The command `lexiseg predict`.

`command` reads its options (`options`) into a request. `work` does what is requested: `inputs` are what the
paths name, `job` is what is settled before prediction begins, and `volumes` predicts volumes. `summary`
says how it ends, and `upload` sends results to a URL.
"""
