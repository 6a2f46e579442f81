//go:build s3

package main

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func init() {
	with := func(do func(*s3.Client, *http.Client) (string, error)) func(string, aws.Credentials, *http.Client) (string, error) {
		return func(url string, keys aws.Credentials, web *http.Client) (string, error) {
			return do(s3.New(s3.Options{
				BaseEndpoint: aws.String(url), Region: region, HTTPClient: web, UsePathStyle: true, RetryMaxAttempts: 1,
				Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return keys, nil }),
			}), web)
		}
	}
	steps = []step{{"whole", with(whole)}, {"parts", with(parts)}, {"presigned", with(presigned)}}
}

func get(objects *s3.Client, key string) (string, error) {
	out, err := objects.GetObject(context.Background(), &s3.GetObjectInput{Bucket: aws.String("b"), Key: &key})
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(out.Body)
	return string(text), err
}

func whole(objects *s3.Client, _ *http.Client) (string, error) {
	key := "a key/with ünicode+(x)"
	_, err := objects.PutObject(context.Background(), &s3.PutObjectInput{
		Bucket: aws.String("b"), Key: &key, Body: strings.NewReader("whole"), ContentType: aws.String("text/plain"),
		Metadata: map[string]string{"note": "a  b"},
	})
	if err != nil {
		return "", err
	}
	return get(objects, key)
}

func parts(objects *s3.Client, _ *http.Client) (string, error) {
	ctx, bucket, key := context.Background(), aws.String("b"), aws.String("parts")
	begun, err := objects.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	if err != nil {
		return "", err
	}
	var done []types.CompletedPart
	for n, text := range []string{"one ", "two"} {
		number := aws.Int32(int32(n + 1))
		part, err := objects.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: bucket, Key: key, UploadId: begun.UploadId, PartNumber: number, Body: strings.NewReader(text),
		})
		if err != nil {
			return "", err
		}
		done = append(done, types.CompletedPart{ETag: part.ETag, PartNumber: number})
	}
	_, err = objects.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: bucket, Key: key, UploadId: begun.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
	})
	if err != nil {
		return "", err
	}
	return get(objects, "parts")
}

func presigned(objects *s3.Client, web *http.Client) (string, error) {
	request, err := s3.NewPresignClient(objects).PresignGetObject(context.Background(),
		&s3.GetObjectInput{Bucket: aws.String("b"), Key: aws.String("parts")})
	if err != nil {
		return "", err
	}
	answer, err := web.Get(request.URL)
	return textOfAnswer(answer, err)
}
