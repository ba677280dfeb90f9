"""The Iceberg REST catalog over SQLite, for one machine."""
