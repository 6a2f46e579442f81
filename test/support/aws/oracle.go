package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/minio/minio-go/v7/pkg/signer"
)

const timeFormat = "20060102T150405Z"

type keys struct{ ID, Key, Token string }

type field struct{ Name, Value string }

// One request, to be signed or to be checked. Texts have one character a byte, and are UTF-8 of that.
type question struct {
	Ask             string // sign, presign, chunks, check
	Keys            keys
	Method, Host    string
	Target          string
	Fields          []field
	Service, Region string
	Time            string
	Payload         string // the hash, or the word for it
	Body            string // base64
	Trailers        []field
}

type answer struct {
	Target string
	Fields []field
	Body   string
	Error  string
}

func (q question) request() (*http.Request, error) {
	body, err := base64.StdEncoding.DecodeString(q.Body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(q.Method, "https://"+q.Host+q.Target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Host = q.Host
	for _, f := range q.Fields {
		req.Header.Add(f.Name, bytesOf(f.Value))
	}
	return req, nil
}

// The text's characters as bytes.
func bytesOf(text string) string {
	var out []byte
	for _, r := range text {
		out = append(out, byte(r))
	}
	return string(out)
}

func textOf(raw string) string {
	var out []rune
	for i := range len(raw) {
		out = append(out, rune(raw[i]))
	}
	return string(out)
}

func (q question) credentials() aws.Credentials {
	return aws.Credentials{
		AccessKeyID: q.Keys.ID, SecretAccessKey: q.Keys.Key, SessionToken: q.Keys.Token,
	}
}

// What Amazon's clients are set to for the service.
func options(service string) func(*v4.SignerOptions) {
	return func(o *v4.SignerOptions) {
		o.DisableURIPathEscaping = service == "s3"
		o.DisableHeaderHoisting = service == "s3"
	}
}

func (q question) answer() (answer, error) {
	req, err := q.request()
	if err != nil {
		return answer{}, err
	}
	at, err := time.Parse(timeFormat, q.Time)
	if err != nil && q.Ask != "check" {
		return answer{}, err
	}
	switch q.Ask {
	case "sign":
		err := v4.NewSigner().SignHTTP(context.Background(), q.credentials(), req, q.Payload,
			q.Service, q.Region, at, options(q.Service))
		return answerOf(req, req.URL.RequestURI(), nil), err
	case "presign":
		uri, _, err := v4.NewSigner().PresignHTTP(context.Background(), q.credentials(), req, q.Payload,
			q.Service, q.Region, at, options(q.Service))
		if err != nil {
			return answer{}, err
		}
		signed, err := url.Parse(uri)
		if err != nil {
			return answer{}, err
		}
		return answerOf(req, signed.RequestURI(), nil), nil
	case "chunks":
		size := req.ContentLength
		for _, f := range q.Trailers {
			if req.Trailer == nil {
				req.Trailer = http.Header{}
			}
			req.Trailer.Set(f.Name, f.Value)
		}
		req = signer.StreamingSignV4(req, q.Keys.ID, q.Keys.Key, q.Keys.Token, q.Region, size, at, hasher{sha256.New()})
		body, err := io.ReadAll(req.Body)
		return answerOf(req, req.URL.RequestURI(), body), err
	case "check":
		return answer{}, q.check(req)
	}
	return answer{}, errors.New("an unknown question")
}

func answerOf(req *http.Request, target string, body []byte) answer {
	out := answer{Target: target, Body: base64.StdEncoding.EncodeToString(body)}
	for name, values := range req.Header {
		for _, value := range values {
			out.Fields = append(out.Fields, field{name, textOf(value)})
		}
	}
	if req.ContentLength > 0 {
		out.Fields = append(out.Fields, field{"Content-Length", fmt.Sprint(req.ContentLength)})
	}
	return out
}

type hasher struct{ hash.Hash }

func (hasher) Close() {}

// As a server does it: the request is signed once more with the keys that it has, and compared.
func (q question) check(req *http.Request) error {
	body, _ := io.ReadAll(req.Body)
	query := req.URL.Query()
	if stated := query.Get("X-Amz-Signature"); stated != "" {
		return q.checkQuery(req, query, stated, body)
	}
	parts := map[string]string{}
	_, rest, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	for _, part := range strings.Split(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	scope := strings.Split(parts["Credential"], "/")
	if len(scope) != 5 {
		return fmt.Errorf("no signature: %q", req.Header.Get("Authorization"))
	}
	if scope[0] != q.Keys.ID {
		return fmt.Errorf("another key: %s", scope[0])
	}
	at, err := time.Parse(timeFormat, req.Header.Get("X-Amz-Date"))
	if err != nil {
		return err
	}
	if req.Header.Get("X-Amz-Security-Token") != q.Keys.Token {
		return errors.New("another token")
	}
	payload := req.Header.Get("X-Amz-Content-Sha256")
	switch {
	case payload == "" || len(payload) == 64:
		payload = digest(body)
	case strings.HasPrefix(payload, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"):
		if err := q.checkChunks(body, at, scope, parts["Signature"]); err != nil {
			return err
		}
	}
	signed := strings.Split(parts["SignedHeaders"], ";")
	again := req.Clone(context.Background())
	again.Header = http.Header{}
	again.ContentLength = -1
	for _, key := range signed {
		switch key {
		case "host":
		case "content-length":
			again.ContentLength = int64(len(body))
		default:
			again.Header[http.CanonicalHeaderKey(key)] = req.Header.Values(key)
		}
	}
	if err := v4.NewSigner().SignHTTP(context.Background(), q.credentials(), again, payload, scope[3],
		scope[2], at, options(scope[3])); err != nil {
		return err
	}
	if !strings.HasSuffix(again.Header.Get("Authorization"), "Signature="+parts["Signature"]) {
		return fmt.Errorf("another signature than %s", again.Header.Get("Authorization"))
	}
	return nil
}

func (q question) checkQuery(req *http.Request, query url.Values, stated string, body []byte) error {
	at, err := time.Parse(timeFormat, query.Get("X-Amz-Date"))
	if err != nil {
		return err
	}
	scope := strings.Split(query.Get("X-Amz-Credential"), "/")
	if len(scope) != 5 || scope[0] != q.Keys.ID {
		return fmt.Errorf("another key: %q", query.Get("X-Amz-Credential"))
	}
	if query.Get("X-Amz-Security-Token") != q.Keys.Token {
		return errors.New("another token")
	}
	again := req.Clone(context.Background())
	again.Header = http.Header{}
	again.ContentLength = -1
	for _, key := range strings.Split(query.Get("X-Amz-SignedHeaders"), ";") {
		switch key {
		case "host":
		case "content-length":
			again.ContentLength = int64(len(body))
		default:
			again.Header[http.CanonicalHeaderKey(key)] = req.Header.Values(key)
		}
	}
	for _, name := range []string{"Signature", "Credential", "Date", "Algorithm", "SignedHeaders", "Security-Token"} {
		query.Del("X-Amz-" + name)
	}
	again.URL.RawQuery = query.Encode()
	payload := req.Header.Get("X-Amz-Content-Sha256")
	if payload == "" && scope[3] == "s3" {
		payload = "UNSIGNED-PAYLOAD"
	} else if payload == "" {
		payload = digest(body)
	}
	uri, _, err := v4.NewSigner().PresignHTTP(context.Background(), q.credentials(), again, payload,
		scope[3], scope[2], at, options(scope[3]))
	if err != nil {
		return err
	}
	if !strings.Contains(uri, "X-Amz-Signature="+stated) {
		return fmt.Errorf("another signature than %s", uri)
	}
	return nil
}
