package flight

import (
	"bytes"
	"encoding/binary"
)

const (
	recordAlert      = 21
	recordChange     = 20
	recordData       = 23
	serverHelloType  = 2
	serverHelloStart = handshakeHeader + 2 + 32 // type and length, version, random
)

// retryRandom makes a ServerHello a HelloRetryRequest (RFC 8446 4.1.3).
var retryRandom = []byte{
	0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91,
	0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
}

// records cuts a stream into what each byte of it is to a record.
type records struct {
	header []byte
	left   int
}

// step tells the type of the record and whether the byte is content of it.
func (r *records) step(c byte) (kind byte, content bool) {
	if r.left > 0 {
		r.left--
		return r.header[0], true
	}
	if len(r.header) == recordHeader {
		r.header = r.header[:0]
	}
	r.header = append(r.header, c)
	if len(r.header) == recordHeader {
		r.left = int(binary.BigEndian.Uint16(r.header[3:]))
	}
	return r.header[0], false
}

// ServerHello reads a server's answer to a ClientHello.
type ServerHello struct {
	records records
	hello   []byte
}

// Answer is what a server said to a ClientHello.
type Answer int

const (
	Unheard Answer = iota // not enough to tell
	Other                 // a ServerHello, or nothing of TLS that could ask for a second hello any more
	Retry
	Plain // nothing of TLS
)

// Feed takes the server's next bytes, until they are enough to tell. Alerts may come before a ServerHello;
// other records do not.
func (s *ServerHello) Feed(data []byte) Answer {
	for _, c := range data {
		kind, content := s.records.step(c)
		if kind < firstRecord || kind > lastRecord {
			return Plain
		}
		if kind == recordAlert {
			continue
		}
		if kind == recordHandshake && content {
			s.hello = append(s.hello, c)
		}
		settled := len(s.hello) == serverHelloStart
		if kind == recordHandshake && !settled && (len(s.hello) == 0 || s.hello[0] == serverHelloType) {
			continue
		}
		if settled && bytes.Equal(s.hello[serverHelloStart-len(retryRandom):], retryRandom) {
			return Retry
		}
		return Other
	}
	return Unheard
}

// alertLength is that of an alert's record that is not encrypted.
const alertLength = recordHeader + 2

// IsAlert tells whether the bytes are an alert and nothing more, as a client says that gives up.
func IsAlert(data []byte) bool {
	return len(data) == alertLength && data[0] == recordAlert && data[1] == 3 && data[3] == 0 && data[4] == 2
}

// SecondHello finds a ClientHello behind what may come before it: a change_cipher_spec for the sake of
// middleboxes, early data that was under way, an alert.
type SecondHello struct {
	records records
	flight  Reader
	Bytes   []byte
}

// Feed takes the next bytes. The hello is whole, or something that is none.
func (s *SecondHello) Feed(data []byte) State {
	for _, c := range data {
		kind, _ := s.records.step(c)
		between := kind == recordChange || kind == recordAlert || kind == recordData
		if between && len(s.Bytes) == 0 {
			continue
		}
		s.Bytes = append(s.Bytes, c)
		if s.flight.Feed([]byte{c}) != Partial || !s.flight.isTLS() || len(s.Bytes) == MaxFirst {
			return Whole
		}
	}
	return Partial
}
