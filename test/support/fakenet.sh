#!/bin/sh
# fakenet.sh: a small world of two network namespaces, on nothing but the kernel.
#
#   host      151.101.9.2/30, 2606:4700:9::2/64: where sbx runs; one uplink, resolver 9.9.9.9
#   internet  the other end of that uplink, and every address in $ADDRESSES as its own
#
# Started inside a mount and network namespace of its own (see world.ts). Prints "ready HOST INTERNET", the
# process ids that nsenter needs, and lives until its stdin ends, however that comes about.
set -eu

# The internet's namespace is held by a process that the kernel kills with this one.
unshare -n setpriv --pdeathsig KILL sleep infinity &
internet=$!
outside() { nsenter -t "$internet" -n "$@"; }
until [ "$(readlink /proc/$internet/ns/net)" != "$(readlink /proc/$$/ns/net)" ] 2>/dev/null; do
  sleep 0.01
done

ip link set lo up
ip link add up0 type veth peer name dn0
ip link set dn0 netns "$internet"
ip addr add 151.101.9.2/30 dev up0
ip -6 addr add 2606:4700:9::2/64 dev up0 nodad
ip link set up0 up

outside ip link set lo up
outside ip addr add 151.101.9.1/30 dev dn0
outside ip -6 addr add 2606:4700:9::1/64 dev dn0 nodad
outside ip link set dn0 up
for address in $ADDRESSES; do
  case $address in
    *:*) echo "addr add $address/128 dev lo nodad" ;;
    *) echo "addr add $address/32 dev lo" ;;
  esac
done | outside ip -batch -
# What exists nowhere: one address whose router says so, and silence for the rest.
outside ip route add unreachable "$UNREACHABLE"
outside ip route add blackhole default
outside sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'

ip route add default via 151.101.9.1
ip -6 route add default via 2606:4700:9::1

# A host lets its users ping; a new namespace does not. In a user namespace only mapped groups count.
last=$(awk '{ printf "%.0f\n", $1 + $3 - 1 }' /proc/self/gid_map | tail -n 1)
echo "0 $((last < 2147483647 ? last : 2147483647))" >/proc/sys/net/ipv4/ping_group_range

printf 'nameserver 9.9.9.9\noptions timeout:1 attempts:1\n' >"$SCRATCH/resolv.conf"
mount --bind "$SCRATCH/resolv.conf" "$(readlink -f /etc/resolv.conf)"

echo "ready $$ $internet"
while read -r _; do :; done
