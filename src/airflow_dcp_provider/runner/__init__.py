"""The Spark Runner: identity, submit, check, cancel, advance, store and diagnosis. Nothing here imports Airflow."""
