package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/minio/minio-go/v7/pkg/signer"
)

const region = "eu-central-1"

type step struct {
	name string
	do   func(url string, keys aws.Credentials, web *http.Client) (string, error)
}

// Those of Amazon's client for S3, which takes half a minute to compile: with the tag s3.
var steps []step

// client URL CA [h2]: does in a bucket what programs do, with the keys of its environment, and says what it got.
func client(args []string) error {
	pem, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	web := &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: len(args) > 2,
		},
	}
	keys := aws.Credentials{
		AccessKeyID:     os.Getenv("AWS_ACCESS_KEY_ID"),
		SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken:    os.Getenv("AWS_SESSION_TOKEN"),
	}
	got := map[string]string{}
	for _, step := range append(steps, step{"chunks", chunks}, step{"json", post}) {
		text, err := step.do(args[0], keys, web)
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		got[step.name] = text
	}
	return json.NewEncoder(os.Stdout).Encode(got)
}

// chunks uploads as clients do whose chunks are signed one by one.
func chunks(url string, keys aws.Credentials, web *http.Client) (string, error) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 6_000)
	req, err := http.NewRequest("PUT", url+"/b/chunks", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	size := int64(len(body))
	req = signer.StreamingSignV4(req, keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken, region, size,
		time.Now().UTC(), hasher{sha256.New()})
	if _, err := textOfAnswer(web.Do(req)); err != nil {
		return "", err
	}
	req, _ = http.NewRequest("GET", url+"/b/chunks", nil)
	req.Header.Set("X-Amz-Content-Sha256", digest(nil))
	if err := v4.NewSigner().SignHTTP(context.Background(), keys, req, digest(nil), "s3", region, time.Now(),
		options("s3")); err != nil {
		return "", err
	}
	text, err := textOfAnswer(web.Do(req))
	return fmt.Sprint(text == string(body)), err
}

// post asks a service that signs the hash of a body and does not state it.
func post(url string, keys aws.Credentials, web *http.Client) (string, error) {
	body := []byte(`{"TableName":"t"}`)
	req, err := http.NewRequest("POST", url+"/", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "DynamoDB_20120810.DescribeTable")
	if err := v4.NewSigner().SignHTTP(context.Background(), keys, req, digest(body), "dynamodb", region,
		time.Now()); err != nil {
		return "", err
	}
	return textOfAnswer(web.Do(req))
}

func textOfAnswer(answer *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	return string(text), err
}
