"""Links of the operators in Airflow's UI."""
