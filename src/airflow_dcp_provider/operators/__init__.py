"""Operators: thin Airflow faces of the runner and of the tables. Parsing a DAG imports no engine with them."""
