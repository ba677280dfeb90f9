#!/bin/bash
# Builds every program of the cluster into FOLDER, those that are not there yet: build.sh FOLDER
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
mkdir -p "$out"
export GOTOOLCHAIN=local CGO_ENABLED=0
OPERATOR=2.5.2 HELM=3.18.5

missing() { [ ! -x "$out/$1" ] && echo "building $1" >&2; }

if missing helm; then
  GOBIN=$out go install -trimpath -ldflags "-s -w" "helm.sh/helm/v3/cmd/helm@v$HELM"
fi
operator=$(cd "$here/coredns" && GOFLAGS=-mod=mod go mod download -json "github.com/kubeflow/spark-operator/v2@v$OPERATOR" | sed -n 's/.*"Dir": "\(.*\)",/\1/p')
if missing spark-operator; then
  # As its Makefile does it.
  (cd "$operator" && go build -mod=readonly -trimpath -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=v$OPERATOR" -o "$out/spark-operator" ./cmd/operator)
fi
ln -sfn "$operator" "$out/operator-source"
if missing coredns; then
  (cd "$here/coredns" && go build -mod=readonly -trimpath -ldflags "-s -w" -o "$out/coredns" .)
fi
if missing pause; then
  (cd "$here/pause" && go build -trimpath -ldflags "-s -w" -o "$out/pause" .)
fi
if missing kubernetes; then
  version=$(sed -n 's#^\s*k8s.io/kubernetes v##p' "$here/kubernetes/go.mod")
  names="-X k8s.io/component-base/version.gitVersion=v$version -X k8s.io/component-base/version.gitMajor=${version%%.*} -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<<"$version")"
  (cd "$here/kubernetes" && go build -mod=readonly -trimpath -ldflags "-s -w $names" -o "$out/kubernetes" .)
fi
for name in kubelet kube-controller-manager kube-scheduler kube-proxy; do ln -sfn kubernetes "$out/$name"; done
