package main

import (
	"bytes"
	"encoding/binary"
)

const (
	recordHandshake = 0x16
	recordHeader    = 5
	maxRecord       = 16384
	helloType       = 1
	handshakeHeader = 4
	maxFirst        = 32 << 10
	maxMethod       = 32
)

// flightState says whether the first bytes of a flow are enough to learn the name it states.
type flightState int

const (
	flightPartial flightState = iota
	flightComplete
	flightOpaque // not a protocol that states a name: what is there is all there is
)

// firstFlight looks at the first bytes a guest sent. TLS is complete with its whole ClientHello,
// whose handshake message may be split over records at any byte (RFC 8446 5.1); HTTP/1 with its
// head. It only finds the boundary: sbx parses.
func firstFlight(data []byte) flightState {
	if len(data) == 0 {
		return flightPartial
	}
	if data[0] == recordHandshake {
		return helloFlight(data)
	}
	return headFlight(data)
}

func helloFlight(data []byte) flightState {
	message, need := 0, -1
	var head []byte
	for len(data) > 0 {
		if len(data) < recordHeader {
			return flightPartial
		}
		size := int(binary.BigEndian.Uint16(data[3:5]))
		if data[0] != recordHandshake || size == 0 || size > maxRecord {
			return flightOpaque
		}
		fragment := data[recordHeader:min(len(data), recordHeader+size)]
		if missing := handshakeHeader - len(head); missing > 0 {
			head = append(head, fragment[:min(missing, len(fragment))]...)
		}
		message += len(fragment)
		if need < 0 && len(head) == handshakeHeader {
			if head[0] != helloType {
				return flightOpaque
			}
			need = handshakeHeader + int(head[1])<<16 + int(head[2])<<8 + int(head[3])
			if need > maxFirst {
				return flightOpaque
			}
		}
		if need >= 0 && message >= need {
			return flightComplete
		}
		if len(data) < recordHeader+size {
			return flightPartial
		}
		data = data[recordHeader+size:]
	}
	return flightPartial
}

// headFlight recognises what a server may take for the line of a request and waits for the blank line
// behind its fields. Servers skip empty lines first and answer methods that they do not know.
func headFlight(data []byte) flightState {
	data = bytes.TrimLeft(data, "\r\n")
	end := bytes.IndexByte(data, '\n')
	line := data
	if end >= 0 {
		line = data[:end]
	}
	for i, c := range line {
		if i > 0 && (c == ' ' || c == '\t') {
			break
		}
		if c == '\r' && i == len(line)-1 {
			break
		}
		if i >= maxMethod || !isTokenByte(c) {
			return flightOpaque
		}
	}
	if end < 0 {
		return flightPartial
	}
	if !bytes.Contains(bytes.ToUpper(line), []byte("HTTP/")) {
		return flightOpaque
	}
	for rest := data[end:]; ; {
		next := bytes.IndexByte(rest[1:], '\n')
		if next < 0 {
			return flightPartial
		}
		if len(bytes.TrimRight(rest[1:1+next], "\r")) == 0 {
			return flightComplete
		}
		rest = rest[1+next:]
	}
}

// isTokenByte is tchar of RFC 9110 5.6.2.
func isTokenByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' ||
		bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) >= 0
}
