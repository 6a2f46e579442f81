package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// maxKeys bounds the first line; two Ed25519 keys have some 500 bytes.
const maxKeys = 16 << 10

// keys are who we are, and whom we let in.
type keys struct {
	host   ssh.Signer
	client ssh.PublicKey
}

// readKeys takes the first line of a connection, and not a byte more.
func readKeys(from io.Reader) (keys, error) {
	line, err := firstLine(from)
	if err != nil {
		return keys{}, fmt.Errorf("cannot read the keys: %w", err)
	}
	var given struct {
		HostKey   string `json:"hostKey"`
		ClientKey string `json:"clientKey"`
	}
	if err := json.Unmarshal(line, &given); err != nil {
		return keys{}, fmt.Errorf("cannot read the keys: %w", err)
	}
	host, err := gossh.ParsePrivateKey([]byte(given.HostKey))
	if err != nil {
		return keys{}, fmt.Errorf("cannot use the host key: %w", err)
	}
	client, _, _, _, err := ssh.ParseAuthorizedKey([]byte(given.ClientKey))
	if err != nil {
		return keys{}, fmt.Errorf("cannot use the client's key: %w", err)
	}
	return keys{host: host, client: client}, nil
}

func firstLine(from io.Reader) ([]byte, error) {
	reader, ok := from.(io.ByteReader)
	if !ok {
		reader = bufio.NewReaderSize(from, 1)
	}
	var line []byte
	for {
		b, err := reader.ReadByte()
		if err != nil {
			return nil, err
		}
		if b == '\n' {
			return line, nil
		}
		if line = append(line, b); len(line) > maxKeys {
			return nil, errors.New("the line is too long")
		}
	}
}
