package netlink

import "testing"

func FuzzAcknowledged(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 36))
	f.Fuzz(func(_ *testing.T, reply []byte) { acknowledged(reply) })
}
