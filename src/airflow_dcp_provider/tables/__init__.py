"""Iceberg tables through pyiceberg: make sure of them, change them safely, list them, and prove what a run wrote.

No Airflow here; the hook and the command line are thin faces of these functions. pyiceberg is imported inside functions, because
modules that name these functions are imported when DAG files are parsed.
"""
