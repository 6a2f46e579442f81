package main

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/cgi"
	"os/exec"
	"strings"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// raw passes messages through as they are, so that no generated code is needed.
type raw struct{}

func (raw) Name() string                  { return "raw" }
func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

// echoing serves the one gRPC service there is: every message comes back, and a trailer says how many.
func echoing() http.Handler {
	server := grpc.NewServer(grpc.ForceServerCodec(raw{}))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "echo.Echo",
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{
			StreamName: "Chat", ClientStreams: true, ServerStreams: true, Handler: chat,
		}},
	}, nil)
	return server
}

func chat(_ any, stream grpc.ServerStream) error {
	for n := 0; ; n++ {
		var message []byte
		if err := stream.RecvMsg(&message); errors.Is(err, io.EOF) {
			stream.SetTrailer(metadata.Pairs("sum", strings.Repeat("i", min(n, 10))))
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.SendMsg(&message); err != nil {
			return err
		}
	}
}

// socket echoes the messages of a WebSocket.
func (s *servers) socket(w http.ResponseWriter, q *http.Request) {
	conn, err := websocket.Accept(w, q, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(4 << 20)
	for {
		kind, message, err := conn.Read(q.Context())
		if err != nil || conn.Write(q.Context(), kind, message) != nil {
			return
		}
	}
}

// git serves the repositories among the files, over git's own protocol.
func (s *servers) git() http.Handler {
	core, _ := exec.Command("git", "--exec-path").Output()
	return &cgi.Handler{
		Path: strings.TrimSpace(string(core)) + "/git-http-backend",
		Root: "/git",
		Env:  []string{"GIT_PROJECT_ROOT=" + s.files, "GIT_HTTP_EXPORT_ALL=1"},
	}
}

// hinted sends early hints before its answer and a trailer after it.
func (s *servers) hinted(w http.ResponseWriter, q *http.Request) {
	w.Header().Set("Link", "</style.css>; rel=preload")
	w.WriteHeader(http.StatusEarlyHints)
	w.Header().Set("Trailer", "Sum")
	io.WriteString(w, "hinted")
	w.(http.Flusher).Flush()
	w.Header().Set("Sum", "6")
}

// elsewhere says, wherever it can, that it is better had on another port.
func (s *servers) elsewhere(w http.ResponseWriter, q *http.Request) {
	w.Header().Set("Alt-Svc", `h2=":8443"; ma=86400, http/1.1=":8443", h3=":443"; ma=86400`)
	w.Header().Set("Alternate-Protocol", "443:quic")
	w.WriteHeader(http.StatusEarlyHints)
	w.Header().Set("Trailer", "Alt-Svc")
	io.WriteString(w, "elsewhere")
	w.(http.Flusher).Flush()
	w.Header().Set("Alt-Svc", `h3=":8443"; ma=86400`)
}

// ending answers with a body that only the end of the connection ends: in order, without close_notify, or
// by a reset. Or with a head that no client should believe.
func (s *servers) ending(w http.ResponseWriter, q *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if q.PathValue("how") == "malformed" {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\nsome")
		conn.Close()
		return
	}
	io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsome of it\n")
	raw := conn.(*tls.Conn).NetConn().(*recorded)
	switch q.PathValue("how") {
	case "order":
		conn.Close()
	case "cut":
		raw.CloseWrite()
		io.Copy(io.Discard, raw)
		raw.Close()
	case "reset":
		time.Sleep(100 * time.Millisecond) // what was sent arrives first
		raw.SetLinger(0)
		raw.Close()
	}
}
