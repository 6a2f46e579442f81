package flight

import (
	"bufio"
	"bytes"
	"net/http"
	"testing"

	"sbx.dev/netstack/internal/nettest"
)

// FuzzFirstFlight holds the reader against Go's own TLS and HTTP: what it lets pass unread, with whatever comes
// behind it, neither of them takes a name from; and no cut changes an answer.
func FuzzFirstFlight(f *testing.F) {
	for _, vector := range firstFlights(f) {
		data := vector.data(f)
		f.Add(data, uint16(len(data)/2), []byte("\r\nHost: evil.test\r\n\r\n"))
		f.Add(data, uint16(1), []byte("GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n"))
	}
	f.Fuzz(func(t *testing.T, data []byte, at uint16, more []byte) {
		if len(data)+len(more) > MaxFirst {
			return
		}
		var cut Reader
		first := cut.Feed(data[:min(int(at), len(data))])
		state := cut.Feed(data[min(int(at), len(data)):])
		if whole := stateOf(data); whole != state {
			t.Fatalf("%q cut at %d is %s, and %s in one piece", data, at, stateNames[state], stateNames[whole])
		}
		if settled := first == Whole || first == Opaque; settled && first != state {
			t.Fatalf("%q was %s and is %s", data, stateNames[first], stateNames[state])
		}
		all := append(bytes.Clone(data), more...)
		switch stateOf(all) {
		case Opaque, Open:
			if host, ok := requestHostOf(all); ok && host != "" {
				t.Fatalf("%q is read as a request to %q", all, host)
			}
			if name, ok := nettest.ServerNameOf(all); ok {
				t.Fatalf("%q is read as a hello for %q", all, name)
			}
		case Partial:
			if _, ok := nettest.ServerNameOf(all); ok {
				t.Fatalf("%q is read as a hello before it is whole", all)
			}
		}
	})
}

// requestHostOf reads a request as Go's server does.
func requestHostOf(data []byte) (string, bool) {
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		return "", false
	}
	return request.Host, true
}
