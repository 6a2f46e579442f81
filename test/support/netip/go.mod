module sbx/netip

go 1.26.0
