"""Backends behind one protocol; one module each."""
