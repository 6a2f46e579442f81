package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Written after the documentation of S3, and apart from any client's code.
func (q question) checkChunks(body []byte, at time.Time, scope []string, seed string) error {
	key := []byte("AWS4" + q.Keys.Key)
	for _, part := range scope[1:] {
		key = mac(key, part)
	}
	sign := func(kind string, hashes ...string) string {
		lines := append([]string{kind, at.Format(timeFormat), strings.Join(scope[1:], "/"), seed}, hashes...)
		return hex.EncodeToString(mac(key, strings.Join(lines, "\n")))
	}
	for {
		line, rest, found := bytes.Cut(body, []byte("\r\n"))
		if !found {
			return errors.New("no last chunk")
		}
		size, signature, _ := strings.Cut(string(line), ";chunk-signature=")
		length, err := strconv.ParseInt(size, 16, 32)
		if err != nil || int(length) > len(rest) {
			return fmt.Errorf("a chunk of %q", size)
		}
		data := rest[:length]
		if seed = sign("AWS4-HMAC-SHA256-PAYLOAD", digest(nil), digest(data)); seed != signature {
			return errors.New("another signature of a chunk")
		}
		body = rest[length:]
		if length == 0 {
			break
		}
		if !bytes.HasPrefix(body, []byte("\r\n")) {
			return errors.New("a chunk longer than its size")
		}
		body = body[2:]
	}
	signed, signature, found := strings.Cut(string(body), "x-amz-trailer-signature:")
	if !found {
		if string(body) != "\r\n" {
			return fmt.Errorf("behind the last chunk: %q", body)
		}
		return nil
	}
	canonical := ""
	for _, line := range strings.FieldsFunc(signed, func(r rune) bool { return r == '\r' || r == '\n' }) {
		canonical += line + "\n"
	}
	if sign("AWS4-HMAC-SHA256-TRAILER", digest([]byte(canonical)))+"\r\n\r\n" != signature {
		return errors.New("another signature of the trailers")
	}
	return nil
}
