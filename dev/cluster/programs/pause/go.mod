module airflow-dcp-provider/dev/cluster/pause

go 1.26.0
