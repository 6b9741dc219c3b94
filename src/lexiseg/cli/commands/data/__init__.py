"""The commands under `lexiseg data`.

`group` holds `check`, `phantom` and `croissant` and registers all of them. `public_data` lists, gets and
imports public data sets, and `describe` makes descriptions. `identifying_data` and `suspicions` are what
`check` looks for with --identifying, and with --with or --folds. `describe_options` and `suspicions_options`
are the options of one command.
"""
