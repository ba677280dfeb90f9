"""Sensors. All of them are deferred while they wait: none holds a worker slot."""
