"""The audit: arms trained alike but for their words, compared case by case, with a verdict."""
