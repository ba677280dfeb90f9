"""A Kubernetes for the tests: a real API server with etcd, and stand-ins for the operator, the kubelet and the garbage collector."""
