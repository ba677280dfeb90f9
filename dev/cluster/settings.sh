# What up.sh and down.sh share. CLUSTER_HOME is where everything that the cluster makes lies.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/../.." && pwd)
home=${CLUSTER_HOME:-$project/.dcp/cluster}
programs=$home/programs
assets=${KUBEBUILDER_ASSETS:-}
PODS=10.244.0.0/24 SERVICES=10.96.0.0/16 API_SERVICE=10.96.0.1 DNS=10.96.0.10
NAMESPACE=${NAMESPACE:-dcp-e2e}
kubeconfig=$home/admin.kubeconfig

say() { echo "$(date +%T) $*"; }
running() { [ -e "$home/pids/$1" ] && kill -0 "$(cat "$home/pids/$1")" 2>/dev/null; }
