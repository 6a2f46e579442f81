package main

import "encoding/binary"

const (
	recordHandshake = 0x16
	recordHeader    = 5
	maxRecord       = 16384
	helloType       = 1
	handshakeHeader = 4
	maxFirst        = 32 << 10
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

// headFlight recognises a request line's method and waits for the blank line.
func headFlight(data []byte) flightState {
	for i, c := range data {
		if c == ' ' && i > 0 {
			break
		}
		if c < 'A' || c > 'Z' || i > 16 {
			return flightOpaque
		}
	}
	for i := 0; i+1 < len(data); i++ {
		if data[i] == '\n' && (data[i+1] == '\n' || data[i+1] == '\r' && i+2 < len(data) && data[i+2] == '\n') {
			return flightComplete
		}
	}
	return flightPartial
}
