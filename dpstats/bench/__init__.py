"""How fast the service is, measured beside something trivial in the same run."""
