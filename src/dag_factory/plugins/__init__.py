"""Plugins: each reads one kind of manifest into a LogicalPlan and that into Primitives."""
