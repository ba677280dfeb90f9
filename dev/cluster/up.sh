#!/bin/bash
# Brings up a real Kubernetes cluster of one node on this machine, with the real Kubeflow Spark operator, from package registries alone
# (Go modules, Debian, PyPI, Maven): no container registry is needed. For root on Debian 12 with Go 1.26 and 20 GB of disk; what is there
# is kept, so that a second run only starts what does not run. down.sh ends it.
#
# It changes the machine: it installs packages, routes pods, and adds rules to iptables. Use a machine that is yours alone.
set -euo pipefail
source "$(dirname "$0")/settings.sh"
mkdir -p "$home"/{pids,logs,cni,pki,manifests,images,warehouse,etcd}

# Programs and images

packages=(containerd runc containernetworking-plugins iptables conntrack ethtool socat kmod debootstrap buildah kubernetes-client)
for package in "${packages[@]}"; do
  dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [ -n "${missing:-}" ] && ! { command -v kubectl >/dev/null && [ "${missing[*]}" = kubernetes-client ]; }; then
  apt-get update -qq && apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
fi
[ -n "$assets" ] || assets=$(cd "$project" && .venv/bin/python -m dev.kubernetes_assets)
"$here/programs/build.sh" "$programs"
"$here/images/build.sh" "$home/images" "$programs" "$project"

# Certificates and kubeconfigs

node=$(hostname)
address=$(ip -4 -o route get 192.0.2.1 | sed 's/.* src \([0-9.]*\).*/\1/')
pki=$home/pki
certificate() { # FILE SUBJECT [SUBJECT-ALTERNATIVE-NAMES]
  [ -e "$pki/$1.crt" ] && return
  openssl req -newkey rsa:2048 -nodes -keyout "$pki/$1.key" -subj "$2" -out "$pki/$1.csr" 2>/dev/null
  openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 365 -out "$pki/$1.crt" \
    -extfile <(printf 'extendedKeyUsage=serverAuth,clientAuth\n%s' "${3:+subjectAltName=$3}") 2>/dev/null
}
write_kubeconfig() { # NAME SUBJECT
  certificate "$1" "$2"
  [ -e "$home/$1.kubeconfig" ] && return
  local set=(kubectl --kubeconfig "$home/$1.kubeconfig" config)
  "${set[@]}" set-cluster dcp --server "https://127.0.0.1:6443" --certificate-authority "$pki/ca.crt" --embed-certs >/dev/null
  "${set[@]}" set-credentials me --client-certificate "$pki/$1.crt" --client-key "$pki/$1.key" --embed-certs >/dev/null
  "${set[@]}" set-context dcp --cluster dcp --user me >/dev/null
  "${set[@]}" use-context dcp >/dev/null
}
[ -e "$pki/ca.crt" ] || openssl req -x509 -newkey rsa:2048 -nodes -keyout "$pki/ca.key" -subj /CN=dcp-cluster -days 365 -out "$pki/ca.crt" 2>/dev/null
[ -e "$pki/accounts.key" ] || openssl genrsa -out "$pki/accounts.key" 2048 2>/dev/null
certificate apiserver /CN=kube-apiserver \
  "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$API_SERVICE,IP:$address"
certificate apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet
write_kubeconfig admin /O=system:masters/CN=admin
write_kubeconfig kube-controller-manager /CN=system:kube-controller-manager
write_kubeconfig kube-scheduler /CN=system:kube-scheduler
write_kubeconfig kube-proxy /CN=system:kube-proxy
write_kubeconfig kubelet "/O=system:nodes/CN=system:node:$node"

fill() { sed -e "s#@HOME@#$home#g; s#@PODS@#$PODS#g; s#@DNS@#$DNS#g; s#@NAMESPACE@#$NAMESPACE#g" "$here/config/$1"; }
# kube-proxy ends itself when its configuration is written again.
configure() { fill "$1" | cmp -s - "$home/$2" || fill "$1" > "$home/$2"; }
configure containerd.toml containerd.toml
configure cni.conflist cni/10-pods.conflist
configure kubelet.yaml kubelet.yaml
configure kube-proxy.yaml kube-proxy.yaml
: > "$home/resolv.conf"

# The machine: pods are routed, and nothing of theirs leaves it.

sysctl -q -w net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
iptables -C FORWARD -s "$PODS" ! -o cni-dcp -j REJECT 2>/dev/null || iptables -I FORWARD -s "$PODS" ! -o cni-dcp -j REJECT

# The cluster's processes

start() { # NAME COMMAND...
  local name=$1
  shift
  running "$name" && return
  say "starting $name"
  setsid nohup "$@" >> "$home/logs/$name.log" 2>&1 < /dev/null &
  echo $! > "$home/pids/$name"
}
until_ready() { # WHAT COMMAND...
  local what=$1 end=$((SECONDS + 180))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { echo "$what is not ready after 180 s; see $home/logs" >&2; exit 4; }
    sleep 0.5
  done
}
export KUBECONFIG=$kubeconfig PATH=$programs:/usr/sbin:$PATH

start containerd containerd --config "$home/containerd.toml"
until_ready containerd ctr --address "$home/containerd.sock" version
for archive in "$home"/images/*.tar; do
  [ "$archive.imported" -nt "$archive" ] && continue
  say "importing $(basename "$archive")"
  ctr --address "$home/containerd.sock" --namespace k8s.io images import "$archive" >/dev/null && touch "$archive.imported"
done

start etcd "$assets/etcd" --data-dir "$home/etcd" --unsafe-no-fsync \
  --listen-client-urls http://127.0.0.1:12379 --advertise-client-urls http://127.0.0.1:12379 \
  --listen-peer-urls http://127.0.0.1:12380 --initial-advertise-peer-urls http://127.0.0.1:12380 --initial-cluster default=http://127.0.0.1:12380
# Watches that begin with a list need a newer etcd than Debian's: Spark's drivers would log an error a second.
start kube-apiserver "$assets/kube-apiserver" --etcd-servers http://127.0.0.1:12379 --secure-port 6443 --advertise-address "$address" \
  --service-cluster-ip-range "$SERVICES" --feature-gates WatchList=false --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged \
  --client-ca-file "$pki/ca.crt" --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
  --kubelet-client-certificate "$pki/apiserver-kubelet.crt" --kubelet-client-key "$pki/apiserver-kubelet.key" \
  --kubelet-preferred-address-types InternalIP --service-account-issuer https://kubernetes.default.svc \
  --service-account-key-file "$pki/accounts.key" --service-account-signing-key-file "$pki/accounts.key" --cert-dir "$home/apiserver"
until_ready kube-apiserver kubectl get --raw /readyz
start kube-controller-manager kube-controller-manager --kubeconfig "$home/kube-controller-manager.kubeconfig" \
  --service-account-private-key-file "$pki/accounts.key" --root-ca-file "$pki/ca.crt" --use-service-account-credentials \
  --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key" --leader-elect=false \
  --flex-volume-plugin-dir "$home/kubelet/volume-plugins" --cert-dir "$home/kube-controller-manager"
start kube-scheduler kube-scheduler --kubeconfig "$home/kube-scheduler.kubeconfig" --leader-elect=false --cert-dir "$home/kube-scheduler"
start kubelet kubelet --config "$home/kubelet.yaml" --kubeconfig "$home/kubelet.kubeconfig" --root-dir "$home/kubelet" \
  --cert-dir "$home/kubelet/pki" --hostname-override "$node" --node-ip "$address"
start kube-proxy kube-proxy --config "$home/kube-proxy.yaml" --hostname-override "$node"
until_ready "the node" kubectl wait --for condition=Ready "node/$node" --timeout 1s

# What runs in it

kubectl create namespace "$NAMESPACE" >/dev/null 2>&1 || true
kubectl create namespace "$NAMESPACE-2" >/dev/null 2>&1 || true
fill cluster.yaml | kubectl apply -f - >/dev/null
# Spark's user and the catalog's.
chown 185:185 "$home/warehouse" && chmod 2775 "$home/warehouse"
kubectl -n kube-system rollout status deployment/coredns --timeout 120s
helm status spark-operator -n spark-operator >/dev/null 2>&1 ||
  helm install spark-operator "$programs/operator-source/charts/spark-operator-chart" -n spark-operator --create-namespace \
    -f "$here/config/operator-values.yaml" --wait --timeout 180s
say "the cluster is up"
echo "make e2e KUBECONFIG=$kubeconfig NAMESPACE=$NAMESPACE NAMESPACE_2=$NAMESPACE-2 \\"
echo "  IMAGE=localhost/spark-platform/3.5-oss-coreetl:3.5.7 WAREHOUSE=claim:warehouse CATALOG_IMAGE=localhost/airflow-dcp-provider:e2e"
