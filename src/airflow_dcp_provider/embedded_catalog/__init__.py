"""The Iceberg REST catalog over SQLite, for one machine.

:class:`~airflow_dcp_provider.embedded_catalog.catalog.EmbeddedCatalog` opens the catalog directly, in this process;
:class:`~airflow_dcp_provider.embedded_catalog.server.CatalogServer` serves the same catalog to Spark over HTTP. Both may be used by
any number of processes of one machine at once: every change of a table is one optimistic update of one row.
"""
