"""Formats of other projects: contact plans and routes, read and written."""
