"""The pages: whole without scripts, nothing from elsewhere, nothing that needs a token."""
