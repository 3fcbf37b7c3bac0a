#!/bin/sh
# The first process of the cluster's node: runs in namespaces of its own (mount, network, process, IPC, host name), so that
# everything that the node starts, mounts and sets up ends with it. It ends when its standard input does, and that does
# when whoever started it ends, in whatever way.
#
#   stdin: a line when the node's network interface is there, then nothing      stdout: its pid outside, then "ready"
set -eu
root=$1 system=$2 kubernetes=$3 control=$4 etcd=$5 coredns=$6 address=$7 services=$8 cgroup=$9

read -r pid _ </proc/self/stat # the process file system is still the machine's
echo "$pid"
read -r _

# Of the machine the node sees what is bound here, and nothing else
mount --bind "$root" "$root"
bind() { mkdir -p "$2" && mount --bind "$1" "$2" && mount -o remount,bind,ro "$2"; }
bind "$system/usr" "$root/usr"
bind "$kubernetes" "$root/opt/kubernetes"
bind "$control" "$root/opt/kube-apiserver"
bind "$etcd" "$root/opt/etcd"
bind "$coredns" "$root/opt/coredns"
cd "$root"
mkdir -p proc sys dev run tmp machine
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs tmpfs run
"$system/usr/bin/busybox" pivot_root . machine
PATH=/usr/sbin:/usr/bin
umount -l /machine
rmdir /machine
mount --make-rshared / # containers get mounts from here

# The kubelet wants these kernel settings, which are the whole machine's. It leaves alone what is as it wants it.
while read -r setting value; do
  echo "$value" >"/run/${setting##*/}"
  mount --bind "/run/${setting##*/}" "/proc/sys/$setting"
done <<SETTINGS
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
SETTINGS

# No default route but a refusal: pods reach the machine at the other end of this link, and nothing beyond it
ip link set lo up
ip address add "$address" dev eth0
ip link set eth0 up
ip route add unreachable default
ip route add "$services" dev eth0 # for processes of the node: a connection needs a route before kube-proxy turns it
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 0 >/proc/sys/net/ipv4/icmp_ratelimit # whoever connects elsewhere is to hear "unreachable", and at once
echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables

echo ready
cat >/dev/null # meanwhile the shell reaps what is orphaned

kill -KILL -1
for _ in $(seq 100); do
  find /sys/fs/cgroup -depth -type d -path "*/$cgroup*" -exec rmdir {} + 2>/dev/null || true
  find /sys/fs/cgroup -maxdepth 2 -type d -name "$cgroup" | grep -q . || exit 0
  sleep 0.1
done
