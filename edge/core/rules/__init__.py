"""Point rules: what one watched thing says, from its own readings and time alone."""
