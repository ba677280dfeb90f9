"""The PySpark driver: sources, SQL transformations, sinks. Standard library and pyspark only; ships as one small zip."""
