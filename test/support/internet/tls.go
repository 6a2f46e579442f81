package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Names under tls.test stand for servers with habits or faults of their own.
const oddities = ".tls.test"

// configFor answers with what a server of the name that was asked for would speak, and offer.
func (s *servers) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	config := &tls.Config{GetCertificate: s.certificate, NextProtos: []string{"h2", "http/1.1"}}
	habit, odd := strings.CutSuffix(hello.ServerName, oddities)
	if !odd {
		return config, nil
	}
	switch habit {
	case "h1":
		config.NextProtos = []string{"http/1.1"}
	case "h2":
		config.NextProtos = []string{"h2"}
	case "none":
		config.NextProtos = nil
	case "v12":
		config.MaxVersion = tls.VersionTLS12
	case "v13":
		config.MinVersion = tls.VersionTLS13
	case "v11":
		config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	case "cbc":
		config.MaxVersion = tls.VersionTLS12
		config.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA}
	case "mtls", "mtls-v12":
		config.ClientAuth = tls.RequireAnyClientCert
		if habit == "mtls-v12" {
			config.MaxVersion = tls.VersionTLS12
		}
	}
	return config, nil
}

// greeting is a protocol that is not HTTP: a server of the name greets.tls.test speaks first, and all of
// them send back every line in capitals.
func (s *servers) greeting(c net.Conn) {
	session := c.(*tls.Conn)
	if session.Handshake() != nil {
		return
	}
	if session.ConnectionState().ServerName == "greets"+oddities {
		io.WriteString(c, "* welcome\r\n")
	}
	for lines := bufio.NewScanner(c); lines.Scan(); {
		fmt.Fprintf(c, "%s\r\n", strings.ToUpper(lines.Text()))
	}
}

// fault changes what is wrong with the certificate of a name, before it is signed; nil for none.
func fault(host string) func(*x509.Certificate) {
	switch habit, _ := strings.CutSuffix(host, oddities); habit {
	case "expired":
		return func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	case "early":
		return func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }
	case "wrong-name":
		return func(c *x509.Certificate) { c.DNSNames = []string{"right-name" + oddities} }
	case "client-only":
		return func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}
	}
	return nil
}
