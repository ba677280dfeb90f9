"""``make e2e``: the whole way from a manifest to SparkApplications on a given cluster, through a real Airflow on this machine."""
