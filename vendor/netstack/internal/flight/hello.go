// Package flight reads what a guest says first, and what a server answers, as far as it has to be judged.
// Pure: bytes in, states out.
package flight

import "encoding/binary"

const (
	// The content types of TLS records, change_cipher_spec to heartbeat. Nothing else on a wire begins so.
	firstRecord     = 20
	lastRecord      = 24
	recordHandshake = 22
	recordHeader    = 5
	maxRecord       = 16384
	helloType       = 1
	handshakeHeader = 4
	// MaxFirst is how much of a first flight is kept; sbx knows the same number.
	MaxFirst = 32 << 10
)

// State says what the first bytes of a guest are to a server that looks for a name in them. Each
// holds for every way to cut the same bytes; the last two hold for all that may follow, too.
//
//	partial ──► open ──► whole
//	   └─────────┴─────► opaque
type State int

const (
	// Partial: a ClientHello or request that has begun. No server can act on it yet.
	Partial State = iota
	// Open: no client of TLS or HTTP begins so, and no server can act on it yet. What follows may
	// still make it something that a lenient server reads as a request.
	Open
	// Whole: all there is to learn of a name, or something that is not to be trusted with one.
	Whole
	// Opaque: neither a TLS nor an HTTP server reads this.
	Opaque
)

// Reader follows the first bytes of a guest, however they are cut. It only finds the boundary: sbx
// parses (lib/tls/client_hello.ts, lib/judge/request_reader.ts), and test/vectors/first_flights.json
// holds the two together.
type Reader struct {
	State   State
	Length  int // up to where the state was settled
	prefix  [4]byte
	hello   helloReader
	request requestReader
}

// Feed takes the next bytes. Once the state is whole or opaque it stays.
func (f *Reader) Feed(data []byte) State {
	for _, c := range data {
		if f.State == Whole || f.State == Opaque {
			break
		}
		f.State = f.step(c)
		f.Length++
	}
	return f.State
}

func (f *Reader) step(c byte) State {
	if f.Length < len(f.prefix) {
		f.prefix[f.Length] = c
	}
	if f.isTLS() {
		return f.hello.step(c)
	}
	// A ClientHello as of SSLv2, which servers of TLS 1.2 still read (RFC 5246 E.2). It states no name.
	if f.Length == 3 && f.prefix[0] >= 0x80 && f.prefix[2] == helloType && c == 3 {
		return Whole
	}
	return f.request.step(c)
}

func (f *Reader) isTLS() bool { return f.prefix[0] >= firstRecord && f.prefix[0] <= lastRecord }

// IsHello tells whether a whole flight is a ClientHello, as far as its boundary tells.
func (f *Reader) IsHello() bool { return f.State == Whole && f.prefix[0] == recordHandshake }

// helloReader finds the end of a ClientHello, whose handshake message may be split over records at any
// byte (RFC 8446 5.1). The version of a record says nothing: servers ignore it.
type helloReader struct {
	header  []byte // of the record that begins
	left    int    // of the record's fragment
	message []byte // the header of the handshake message
	have    int
	need    int
}

func (h *helloReader) step(c byte) State {
	if h.left == 0 {
		h.header = append(h.header, c)
		if h.header[0] != recordHandshake {
			return Whole
		}
		if len(h.header) < recordHeader {
			return Partial
		}
		h.left = int(binary.BigEndian.Uint16(h.header[3:]))
		h.header = h.header[:0]
		if h.left == 0 || h.left > maxRecord {
			return Whole
		}
		return Partial
	}
	h.left--
	h.have++
	if len(h.message) < handshakeHeader {
		h.message = append(h.message, c)
		if h.message[0] != helloType {
			return Whole
		}
		if len(h.message) == handshakeHeader {
			h.need = handshakeHeader + int(h.message[1])<<16 + int(binary.BigEndian.Uint16(h.message[2:]))
		}
	}
	if h.need > MaxFirst || h.need > 0 && h.have >= h.need {
		return Whole
	}
	return Partial
}
