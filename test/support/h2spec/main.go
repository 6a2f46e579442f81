// Command h2spec runs the public conformance suite for HTTP/2 servers, strict cases included, against the server
// of a name that speaks TLS. Its report goes to stdout; it fails when a case does.
package main

import (
	"os"
	"time"

	"github.com/summerwind/h2spec"
	"github.com/summerwind/h2spec/config"
)

func main() {
	// A server that reads the whole body first: an answer that is earlier may end a stream before its mistake.
	passed, err := h2spec.Run(&config.Config{
		Host: os.Args[1], Port: 443, Path: "/sink", TLS: true, Insecure: true,
		Timeout: 20 * time.Second, MaxHeaderLen: 4000, Strict: true,
	})
	if err != nil || !passed {
		os.Exit(1)
	}
}
