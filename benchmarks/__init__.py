"""Measures the service against peers and against the limit: `make bench`."""
