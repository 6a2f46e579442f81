package control

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// ReadMessage reads one length-prefixed JSON message.
func ReadMessage(r io.Reader) (Message, error) {
	var message Message
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return message, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > maxMessage {
		return message, fmt.Errorf("control message of %d bytes", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return message, err
	}
	if err := json.Unmarshal(body, &message); err != nil {
		return message, fmt.Errorf("control message: %w", err)
	}
	return message, nil
}
