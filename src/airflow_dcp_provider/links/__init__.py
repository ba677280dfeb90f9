"""Links that a task shows in Airflow: to Spark's own pages, to the execution, to the table."""
