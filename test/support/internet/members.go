package main

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// member is a server that serves nobody without the credential that the test gave it, and keeps whole
// requests: what arrived there, to the byte, is what a test of secrets judges by.
type member struct {
	// Field is in lower case; Value the whole of it, as a client that has the credential sends it.
	Field string `json:"field"`
	Value string `json:"value"`
	// Root is where among what every server has this one begins; empty for the top.
	Root string `json:"root"`
	// Challenge says how to come back, so that clients which wait for that do; empty for nothing.
	Challenge string `json:"challenge"`
	// Bucket: it serves anybody, as a bucket for objects; whoever reads its letters checks what signed them.
	Bucket bool `json:"bucket"`
}

// letter is a request as it arrived: fields by their names in lower case, and as much of the body as a test
// looks at.
type letter struct {
	Host   string              `json:"host"`
	Method string              `json:"method"`
	Target string              `json:"target"`
	Proto  string              `json:"proto"`
	Fields map[string][]string `json:"fields"`
	Body   string              `json:"body"`
	Status int                 `json:"status"`
}

// keptBody is how much of a body is kept.
const keptBody = 1 << 18

// membersOnly passes on to next what is for no member, or carries the credential of one.
func (s *servers) membersOnly(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/whoami", whoami)
	mux.HandleFunc("/token", token)
	mux.HandleFunc("/v2/", registry)
	mux.HandleFunc("/v1/chat/completions", completions)
	mux.HandleFunc("/v1/messages", messages)
	mux.HandleFunc("/live", s.live)
	mux.Handle("/", next)
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		wanted, known := s.members[q.Host]
		if !known {
			next.ServeHTTP(w, q)
			return
		}
		kept := &head{}
		q.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(q.Body, kept), q.Body}
		answer := &statusOf{ResponseWriter: w, status: http.StatusOK}
		if wanted.Bucket {
			s.bucket.ServeHTTP(answer, q)
		} else if wanted.sentBy(q) {
			mux.ServeHTTP(answer, wanted.rooted(q))
		} else {
			wanted.refuse(answer)
		}
		io.Copy(io.Discard, q.Body)
		s.book.note(func(r *report) { r.Letters = append(r.Letters, letterOf(q, kept, answer.status)) })
	})
}

func (m member) sentBy(q *http.Request) bool {
	sent := q.Header.Values(m.Field)
	return len(sent) == 1 && subtle.ConstantTimeCompare([]byte(sent[0]), []byte(m.Value)) == 1
}

// rooted is the request below the server's root; what clients escape in paths stays escaped.
func (m member) rooted(q *http.Request) *http.Request {
	below := q.Clone(q.Context())
	below.URL.Path = m.Root + q.URL.Path
	if q.URL.RawPath != "" {
		below.URL.RawPath = m.Root + q.URL.RawPath
	}
	return below
}

func (m member) refuse(w http.ResponseWriter) {
	if m.Challenge != "" {
		w.Header().Set("WWW-Authenticate", m.Challenge)
	}
	http.Error(w, "members only", http.StatusUnauthorized)
}

func letterOf(q *http.Request, kept *head, status int) letter {
	fields := map[string][]string{}
	for name, values := range q.Header {
		fields[strings.ToLower(name)] = values
	}
	return letter{q.Host, q.Method, q.RequestURI, q.Proto, fields, kept.String(), status}
}

// head keeps the first bytes that are written to it.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), keptBody-h.Len())])
	return len(p), nil
}

type statusOf struct {
	http.ResponseWriter
	status int
}

func (w *statusOf) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusOf) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusOf) Flush() { http.NewResponseController(w.ResponseWriter).Flush() }

// whoami reflects the credential wherever an answer can: a field, a cookie, and a body.
func whoami(w http.ResponseWriter, q *http.Request) {
	sent := q.Header.Get("Authorization")
	w.Header().Set("X-Seen", sent)
	w.Header().Set("Set-Cookie", "seen="+strings.TrimPrefix(sent, "Bearer "))
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]string{"seen": sent, "target": q.RequestURI})
}
