#!/bin/bash
# Ends the cluster that up.sh made: its pods, its processes, its network. Programs and images stay, for the next up.sh; all of it goes with
# down.sh --all.
set -uo pipefail
source "$(dirname "$0")/settings.sh"
export PATH=$programs:/usr/sbin:$PATH

stop() { # NAME
  running "$1" || return 0
  say "stopping $1"
  kill "$(cat "$home/pids/$1")"
  for _ in $(seq 50); do running "$1" || break; sleep 0.2; done
  running "$1" && kill -9 "$(cat "$home/pids/$1")"
  rm -f "$home/pids/$1"
}
stop kubelet
if running containerd; then
  containers=(ctr --address "$home/containerd.sock" --namespace k8s.io)
  for task in $("${containers[@]}" tasks list --quiet); do "${containers[@]}" tasks kill --signal KILL "$task" 2>/dev/null; done
  sleep 1
  for each in $("${containers[@]}" containers list --quiet); do
    "${containers[@]}" tasks delete --force "$each" >/dev/null 2>&1
    "${containers[@]}" containers delete "$each"
  done
fi
for name in kube-proxy kube-scheduler kube-controller-manager kube-apiserver etcd containerd; do stop "$name"; done
kube-proxy --cleanup --config "$home/kube-proxy.yaml" >/dev/null 2>&1
iptables -D FORWARD -s "$PODS" ! -o cni-dcp -j REJECT 2>/dev/null
ip link delete cni-dcp 2>/dev/null
for namespace in $(ip netns list 2>/dev/null | sed -n 's/^\(cni-[^ ]*\).*/\1/p'); do ip netns delete "$namespace"; done
grep -o " $home/kubelet[^ ]*\| $home/containerd/state/[^ ]*" /proc/self/mounts | sort -r | xargs -r umount -l
# What the cluster knew goes with it.
rm -rf "$home"/{etcd,kubelet,cni-addresses,warehouse,logs,pids}
if [ "${1:-}" = --all ]; then
  [ -d "$home/images/storage" ] && buildah --root "$home/images/storage" --runroot "$home/images/storage.run" rm --all >/dev/null
  umount -l "$home/images/storage/overlay" 2>/dev/null
  rm -rf "$home" "$programs"
fi
exit 0
