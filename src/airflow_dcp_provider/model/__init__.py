"""Values that every layer shares: job specs, environments, executions, states and errors. Nothing here imports Airflow."""
