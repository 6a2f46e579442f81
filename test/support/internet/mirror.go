package main

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// mirror answers with the credential that it was sent, in the ways that its parameters say: form, coding, cut
// (bytes of the body that are left out at its end), piece (bytes that are sent at a time), status, length.
func (s *servers) mirror(w http.ResponseWriter, q *http.Request) {
	ask := q.URL.Query()
	seen := strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ")
	body := coded(ask.Get("coding"), []byte(inForm(ask.Get("form"), seen)))
	cut, _ := strconv.Atoi(ask.Get("cut"))
	body = body[:len(body)-cut]
	w.Header().Set("X-Seen", seen)
	w.Header().Set("X-Asked", q.Header.Get("Accept-Encoding"))
	w.Header().Set("Set-Cookie", "seen="+seen+"; Path=/")
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Trailer", "X-Sum")
	if coding := ask.Get("coding"); coding != "" {
		w.Header().Set("Content-Encoding", coding)
	}
	if to := ask.Get("to"); to != "" {
		w.Header().Set("Location", to+url.QueryEscape(seen))
	}
	if ask.Has("length") {
		w.Header().Del("Trailer")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	if ask.Has("ranges") {
		w.Header().Del("Trailer")
		http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(body))
		return
	}
	status, err := strconv.Atoi(ask.Get("status"))
	if err != nil {
		status = http.StatusOK
	}
	w.WriteHeader(status)
	piece, err := strconv.Atoi(ask.Get("piece"))
	if err != nil {
		piece = max(len(body), 1)
	}
	for ; len(body) > 0; body = body[min(piece, len(body)):] {
		w.Write(body[:min(piece, len(body))])
		http.NewResponseController(w).Flush()
	}
	w.Header().Set("X-Sum", seen)
}

func inForm(form, seen string) string {
	switch form {
	case "json":
		text, _ := json.Marshal(map[string]string{"seen": seen})
		return string(text)
	case "percent":
		return "?k=" + url.QueryEscape(seen)
	case "base64":
		return base64.StdEncoding.EncodeToString([]byte("me:" + seen))
	case "hex":
		return hex.EncodeToString([]byte(seen))
	case "long":
		return seen + strings.Repeat("x", 200_000)
	case "bomb":
		return seen + strings.Repeat("\x00", 16<<20)
	}
	return "<" + seen + ">"
}

func coded(coding string, body []byte) []byte {
	var out bytes.Buffer
	var into io.WriteCloser
	switch coding {
	case "gzip":
		into = gzip.NewWriter(&out)
	case "deflate":
		into = zlib.NewWriter(&out)
	default:
		return body
	}
	into.Write(body)
	into.Close()
	return out.Bytes()
}

// events sends the credential as one of several events, each when the one before was long received.
func (s *servers) events(w http.ResponseWriter, q *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, data := range []string{"one", q.Header.Get("Authorization"), "three"} {
		fmt.Fprintf(w, "data: %s\n\n", data)
		http.NewResponseController(w).Flush()
		time.Sleep(100 * time.Millisecond)
	}
}

// grant is an OAuth token endpoint with one client; each refresh token
// is good for the next grant.
func (s *servers) grant(w http.ResponseWriter, q *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	number := 1
	switch q.PostFormValue("grant_type") {
	case "client_credentials":
		if q.PostFormValue("client_secret") != clientSecret {
			number = 0
		}
	case "refresh_token":
		if n, err := strconv.Atoi(strings.TrimPrefix(q.PostFormValue("refresh_token"), "real-refresh-")); err != nil {
			number = 0
		} else {
			number = n + 1
		}
	default:
		number = 0
	}
	if number == 0 {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":"invalid_grant"}`)
		return
	}
	fmt.Fprintf(w, `{"access_token":"real-access-%d","refresh_token":"real-refresh-%d","expires_in":60}`, number, number)
}

const clientSecret = "client-secret-of-the-mirror"

// granted says which of the tokens of grant it was sent, and sends it back.
func (s *servers) granted(w http.ResponseWriter, q *http.Request) {
	number, real := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer real-access-")
	if !real {
		http.Error(w, "no token", http.StatusUnauthorized)
		return
	}
	fmt.Fprintf(w, "%s: %s\n", number, q.Header.Get("Authorization"))
}
