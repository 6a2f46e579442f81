// netip: what Go's standard library takes texts for, as an opinion on lib/base/address.ts.
//
// Reads one JSON array of two strings a line; answers {"address", "cidr", "has"}: the canonical address that the
// first is, the canonical block that the second is, null for what they are not, and whether the one is in the
// other. IPv4-mapped IPv6 is IPv4, as in sbx.
package main

import (
	"bufio"
	"encoding/json"
	"net/netip"
	"os"
	"strings"
)

type opinion struct {
	Address *string `json:"address"`
	Cidr    *string `json:"cidr"`
	Has     bool    `json:"has"`
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	answers := json.NewEncoder(out)
	for in.Scan() {
		var texts [2]string
		if err := json.Unmarshal(in.Bytes(), &texts); err != nil {
			panic(err)
		}
		var answer opinion
		addr, err := netip.ParseAddr(texts[0])
		addr = addr.WithZone("").Unmap()
		if err == nil {
			text := addr.String()
			answer.Address = &text
		}
		if block, ok := parseBlock(texts[1]); ok {
			text := block.String()
			answer.Cidr = &text
			answer.Has = answer.Address != nil && block.Contains(addr)
		}
		answers.Encode(answer)
	}
	if err := in.Err(); err != nil {
		panic(err)
	}
}

// parseBlock reads a block, or an address as the block of itself.
func parseBlock(text string) (netip.Prefix, bool) {
	if !strings.Contains(text, "/") {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, false
		}
		return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), true
	}
	block, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	if !block.Addr().Is4In6() {
		return block.Masked(), true
	}
	block = netip.PrefixFrom(block.Addr().Unmap(), block.Bits()-96)
	return block.Masked(), block.IsValid()
}
