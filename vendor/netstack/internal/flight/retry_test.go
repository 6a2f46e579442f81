package flight

import (
	"encoding/binary"
	"testing"

	"sbx.dev/netstack/internal/nettest"
)

// Sizes of records that lie must neither hang nor crash the reader of an answer.
func TestDamagedServerHellosAreSurvived(t *testing.T) {
	nettest.Mutations([][]byte{nettest.RetryRequest(1000), nettest.RetryRequest(5)}, 20_000, func(data []byte) {
		var answer ServerHello
		answer.Feed(data)
		if len(answer.hello) > serverHelloStart {
			t.Fatalf("%d bytes are kept", len(answer.hello))
		}
		var second SecondHello
		second.Feed(data)
	})
	long := binary.BigEndian.AppendUint16([]byte{21, 3, 3}, 0)
	var answer ServerHello
	for range 1000 {
		answer.Feed(long)
	}
}
