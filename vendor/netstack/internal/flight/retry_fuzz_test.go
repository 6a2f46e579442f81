package flight

import (
	"bytes"
	"testing"

	"sbx.dev/netstack/internal/nettest"
)

// FuzzRetry holds the readers of a server's answer and of the hello behind it to their bytes, whatever their cuts,
// and against Go's own TLS: what it takes a name from behind such a request is what is judged.
func FuzzRetry(f *testing.F) {
	hello := nettest.ClientHello(f, "api.allowed.test")
	change := []byte{recordChange, 3, 3, 0, 1, 1}
	data := []byte{recordData, 3, 3, 0, 2, 7, 7}
	f.Add(nettest.RetryRequest(1000), hello, uint16(5))
	f.Add(nettest.RetryRequest(5), append(bytes.Clone(change), hello...), uint16(60))
	f.Add(append([]byte{recordAlert, 3, 3, 0, 2, 1, 90}, nettest.RetryRequest(1000)...), append(bytes.Clone(data), hello...), uint16(8))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), nettest.SplitRecords(hello, 3), uint16(1))
	f.Fuzz(func(t *testing.T, answer, second []byte, at uint16) {
		if len(answer) > MaxFirst || len(second) > MaxFirst {
			return
		}
		var whole, cut ServerHello
		got := whole.Feed(answer)
		middle := min(int(at), len(answer))
		if first := cut.Feed(answer[:middle]); first != Unheard && first != got {
			t.Fatalf("%x was %d after %d bytes, and is %d", answer, first, middle, got)
		} else if first == Unheard && cut.Feed(answer[middle:]) != got {
			t.Fatalf("%x cut at %d is not %d", answer, middle, got)
		}
		if len(whole.hello) > serverHelloStart {
			t.Fatalf("%d bytes of an answer are kept", len(whole.hello))
		}

		var piece, pieces SecondHello
		state := piece.Feed(second)
		middle = min(int(at), len(second))
		cutState := pieces.Feed(second[:middle])
		if cutState == Partial {
			cutState = pieces.Feed(second[middle:])
		}
		if cutState != state || !bytes.Equal(pieces.Bytes, piece.Bytes) {
			t.Fatalf("%x cut at %d is %d with %x, and %d with %x", second, middle, cutState, pieces.Bytes, state, piece.Bytes)
		}
		// Go's server passes over a change_cipher_spec where it waits for this hello.
		rest := second
		for len(rest) >= len(change) && bytes.Equal(rest[:1], change[:1]) && bytes.Equal(rest[3:len(change)], change[3:]) {
			rest = rest[len(change):]
		}
		name, ok := nettest.ServerNameOf(rest)
		if !ok {
			return
		}
		if judged, _ := nettest.ServerNameOf(piece.Bytes); state != Whole || judged != name {
			t.Fatalf("a server reads %q of %x, and %q is judged", name, second, judged)
		}
	})
}
