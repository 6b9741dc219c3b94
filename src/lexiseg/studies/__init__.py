"""Studies: trained arms that are compared case by case; the audit of what words change."""
