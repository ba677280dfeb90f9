"""The gateway: which cluster, namespace and image a job of an environment gets, and what it may ask for. Knows no Airflow.

Decisions are pure; what they need to know of clusters comes in through callables.
"""
