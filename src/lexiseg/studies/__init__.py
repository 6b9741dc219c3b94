"""Studies: trained arms that are compared case by case; the audit of what words change.

`trials` trains arms and evaluates them, also in several processes (`trial_claims`). The audit: `audit` puts
it together; `arms` are its arms, `shared_settings` keeps them fair, `analysis` compares, `verdict` decides,
`undertraining` says which arms have not learned enough. `audit_file` is what is written, `audit_page` the
page. `fold_suspicions` looks for errors of a data set with runs on its parts;
`fold_length` says how long these take.
"""
