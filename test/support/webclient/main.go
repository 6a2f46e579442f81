// Command webclient is a client of web servers over TLS, written with Go's own libraries. It runs where the
// guest would be, does one thing, and prints what it saw as one JSON object.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
)

const usage = `usage: webclient WHAT --url URL --ca FILE [--http 1|2] [flags]
  get                                 one request: protocol, status, body, trailers
  rate    --parallel N --seconds S [--fresh]   requests per second over N connections, or one each
  pour    --way up|down --bytes N     one body: megabytes per second
  hold    --count N                   N connections, each with a request while all are open
  grpc    --count N                   N messages each way on one bidirectional stream
  socket  --count N                   N messages each way on one WebSocket
Each takes --bearer TOKEN, a credential that goes with every request. What pours up is zeros, or with
--text WORD lines of text, of which one in each MiB has the word.
`

type options struct {
	url, ca, way, bearer, text     string
	bytes                          int64
	http, count, parallel, seconds int
	fresh                          bool
	trust                          *x509.CertPool
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	f := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	o := options{}
	f.StringVar(&o.url, "url", "", "")
	f.StringVar(&o.ca, "ca", "", "")
	f.StringVar(&o.way, "way", "down", "")
	f.StringVar(&o.bearer, "bearer", "", "")
	f.StringVar(&o.text, "text", "", "")
	f.Int64Var(&o.bytes, "bytes", 1<<28, "")
	f.IntVar(&o.http, "http", 2, "")
	f.IntVar(&o.count, "count", 1000, "")
	f.IntVar(&o.parallel, "parallel", 50, "")
	f.IntVar(&o.seconds, "seconds", 3, "")
	f.BoolVar(&o.fresh, "fresh", false, "")
	f.Parse(os.Args[2:])
	tasks := map[string]func(options) (any, error){
		"get": get, "rate": rate, "pour": pour, "hold": hold, "grpc": stream, "socket": socket,
	}
	task, known := tasks[os.Args[1]]
	if !known {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	result, err := run(task, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "webclient:", err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(result)
}

func run(task func(options) (any, error), o options) (any, error) {
	if o.ca != "" { // otherwise whatever Go finds by itself
		pem, err := os.ReadFile(o.ca)
		if err != nil {
			return nil, err
		}
		o.trust = x509.NewCertPool()
		o.trust.AppendCertsFromPEM(pem)
	}
	return task(o)
}

// client has connections of its own.
func (o options) client() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(o.http == 1)
	protocols.SetHTTP2(o.http == 2)
	return &http.Client{Transport: bearing{o.bearer, &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		Protocols:         protocols,
		DisableKeepAlives: o.fresh,
		TLSClientConfig:   &tls.Config{RootCAs: o.trust},
	}}}
}

// bearing adds the credential to each request, where there is one.
type bearing struct {
	token string
	*http.Transport
}

func (b bearing) RoundTrip(q *http.Request) (*http.Response, error) {
	if b.token != "" {
		q = q.Clone(q.Context())
		q.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.Transport.RoundTrip(q)
}
