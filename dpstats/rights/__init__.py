"""Consent, rights requests and notices: what people decide about their data, and what is owed to them."""
