#!/bin/sh
# What udhcpc was told, put in place.
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
ip link set "$interface" mtu "$mtu"
ip route add default via "$router"
echo "nameserver $dns" >/etc/resolv.conf
set >/run/lease
