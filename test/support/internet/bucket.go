package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// bucket keeps objects as S3 does, as far as its clients ask for: whole, in parts, and in chunks.
type bucket struct {
	mu      sync.Mutex
	objects map[string][]byte
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	if strings.Contains(q.Header.Get("Content-Encoding"), "aws-chunked") {
		body = unchunked(body)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.objects == nil {
		b.objects = map[string][]byte{}
	}
	query, path := q.URL.Query(), q.URL.EscapedPath()
	w.Header().Set("ETag", `"etag"`)
	switch {
	case q.Method == "GET":
		w.Write(b.objects[path])
	case q.Method == "PUT" && !query.Has("partNumber"):
		b.objects[path] = body
	case q.Method == "PUT":
		b.objects[path] = append(b.objects[path], body...)
	case query.Has("uploads"):
		delete(b.objects, path)
		fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
	case query.Has("uploadId"):
		fmt.Fprintf(w, "<CompleteMultipartUploadResult><ETag>etag</ETag></CompleteMultipartUploadResult>")
	default: // a service that takes JSON
		w.Write(body)
	}
}

// unchunked is the content of a body in chunks of AWS's.
func unchunked(body []byte) []byte {
	var content []byte
	for {
		line, rest, _ := bytes.Cut(body, []byte("\r\n"))
		size, _, _ := strings.Cut(string(line), ";")
		length, err := strconv.ParseInt(size, 16, 32)
		if err != nil || length == 0 || int(length) > len(rest) {
			return content
		}
		content = append(content, rest[:length]...)
		body = bytes.TrimPrefix(rest[length:], []byte("\r\n"))
	}
}
