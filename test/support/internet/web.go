package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// web is one server for plain and TLS listeners; over TLS it offers HTTP/2 and HTTP/1.1.
func (s *servers) web() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/", s.hello)
	mux.HandleFunc("/bytes/{n}", s.bytes)
	mux.HandleFunc("/sink", s.sink)
	mux.HandleFunc("/void", s.void)
	mux.HandleFunc("/stall", s.stall)
	mux.HandleFunc("/socket", s.socket)
	mux.HandleFunc("/hinted", s.hinted)
	mux.HandleFunc("/elsewhere", s.elsewhere)
	mux.HandleFunc("/ending/{how}", s.ending)
	mux.HandleFunc("/mirror", s.mirror)
	mux.HandleFunc("/events", s.events)
	mux.HandleFunc("/oauth/token", s.grant)
	mux.HandleFunc("/oauth/me", s.granted)
	mux.Handle("/echo.Echo/", echoing())
	if s.files != "" {
		mux.Handle("/files/", http.StripPrefix("/files/", http.FileServer(http.Dir(s.files))))
		mux.Handle("/git/", s.git())
	}
	return &http.Server{
		Handler:           s.recording(s.membersOnly(mux)),
		ReadHeaderTimeout: time.Minute,
		TLSConfig: &tls.Config{
			GetConfigForClient: s.configFor,
			GetCertificate:     s.certificate,
			NextProtos:         []string{"h2", "http/1.1"},
			MinVersion:         tls.VersionTLS10, // what configFor says counts
		},
		ErrorLog: log.New(io.Discard, "", 0), // Handshakes that fail are what tests do.
	}
}

func (s *servers) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	to := endpoint(hello.Conn.LocalAddr())
	s.book.note(func(r *report) { r.Names = append(r.Names, name{to, hello.ServerName}) })
	host := hello.ServerName
	if host == "" {
		host, _, _ = net.SplitHostPort(to)
	}
	return s.authority.leaf(host)
}

func (s *servers) recording(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		s.book.note(func(r *report) {
			r.Requests = append(r.Requests, request{local(q), q.Host, q.Method, q.URL.Path, q.Proto})
		})
		next.ServeHTTP(w, q)
	})
}

func local(q *http.Request) string {
	return endpoint(q.Context().Value(http.LocalAddrContextKey).(net.Addr))
}

func (s *servers) hello(w http.ResponseWriter, q *http.Request) {
	fmt.Fprintf(w, "hello from %s as %s over %s\n", local(q), q.Host, q.Proto)
}

func (s *servers) bytes(w http.ResponseWriter, q *http.Request) {
	n, err := strconv.ParseInt(q.PathValue("n"), 10, 64)
	if err != nil || n < 0 {
		http.Error(w, "how many?", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	w.Header().Set("Content-Type", "application/octet-stream")
	io.Copy(w, pattern(n))
}

func (s *servers) sink(w http.ResponseWriter, q *http.Request) {
	sum, n := digest(q.Body)
	s.book.note(func(r *report) { r.Streams = append(r.Streams, stream{local(q), n, sum}) })
	fmt.Fprintf(w, "%d %s\n", n, strings.TrimSpace(sum))
}

// void takes what it is sent and does nothing with it, for measurements.
func (s *servers) void(w http.ResponseWriter, q *http.Request) {
	n, _ := io.Copy(io.Discard, q.Body)
	fmt.Fprintln(w, n)
}

// stall reads nothing and says nothing, until its client gives up.
func (s *servers) stall(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() }
