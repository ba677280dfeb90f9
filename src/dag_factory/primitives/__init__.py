"""Primitives: the resources that a manifest asks for, as values with small capability protocols."""
