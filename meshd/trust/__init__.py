"""Whom a node believes: operators it trusts, certificates they gave, and what each may say."""
