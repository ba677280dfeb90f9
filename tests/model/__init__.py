"""Random sequences of what happens to a table, against a model in plain Python."""
