"""Iceberg tables through pyiceberg alone: ensure, evolve, verify. Hook, command line and primitives are thin faces of it."""
