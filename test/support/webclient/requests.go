package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

func get(o options) (any, error) {
	response, err := o.client().Get(o.url)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	return map[string]any{
		"proto": response.Proto, "status": response.StatusCode, "body": string(body), "trailer": response.Trailer,
	}, err
}

// fetch makes one request and reads it to its end.
func fetch(client *http.Client, url string) error {
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err = io.Copy(io.Discard, response.Body); err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", response.StatusCode)
	}
	return err
}

type rates struct {
	PerSecond float64 `json:"perSecond"`
	P50       float64 `json:"p50"` // milliseconds
	P99       float64 `json:"p99"`
	Failed    int     `json:"failed"`
}

// rate keeps o.parallel clients busy; each has a connection of its own, or with --fresh one a request.
func rate(o options) (any, error) {
	var mu sync.Mutex
	var took []time.Duration
	failed := 0
	var wait sync.WaitGroup
	end := time.Now().Add(time.Duration(o.seconds) * time.Second)
	start := time.Now()
	for range o.parallel {
		wait.Go(func() {
			client := o.client()
			defer client.CloseIdleConnections()
			for time.Now().Before(end) {
				began := time.Now()
				err := fetch(client, o.url)
				mu.Lock()
				if err != nil {
					failed++
				} else {
					took = append(took, time.Since(began))
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	seconds := time.Since(start).Seconds()
	if len(took) == 0 {
		return nil, fmt.Errorf("all %d requests failed", failed)
	}
	slices.Sort(took)
	at := func(q float64) float64 {
		return float64(took[int(float64(len(took)-1)*q)].Microseconds()) / 1000
	}
	return rates{float64(len(took)) / seconds, at(0.5), at(0.99), failed}, nil
}

// pour moves one body of o.bytes, up or down, and tells how fast.
func pour(o options) (any, error) {
	client := o.client()
	start := time.Now()
	var err error
	if o.way == "up" {
		err = o.put(client)
	} else {
		err = fetch(client, o.url)
	}
	return map[string]float64{"megabytesPerSecond": float64(o.bytes) / 1e6 / time.Since(start).Seconds()}, err
}

func (o options) put(client *http.Client) error {
	var body io.Reader = zeros{}
	if o.text != "" {
		body = &lines{pattern: textWith(o.text)}
	}
	request, err := http.NewRequest(http.MethodPut, o.url, io.LimitReader(body, o.bytes))
	if err != nil {
		return err
	}
	if o.text != "" {
		request.Header.Set("Content-Type", "text/plain")
	}
	request.ContentLength = o.bytes
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// textWith is a MiB of text that ends with the word.
func textWith(word string) []byte {
	const size = 1 << 20
	text := bytes.Repeat([]byte("a line of text as people write it, of no meaning\n"), size/49+1)[:size]
	copy(text[size-len(word)-1:], word+"\n")
	return text
}

// lines reads the pattern again and again.
type lines struct {
	pattern []byte
	at      int
}

func (l *lines) Read(p []byte) (int, error) {
	n := copy(p, l.pattern[l.at:])
	l.at = (l.at + n) % len(l.pattern)
	return n, nil
}

// hold opens o.count connections, and asks on each of them again once all are open.
func hold(o options) (any, error) {
	clients := make([]*http.Client, o.count)
	for i := range clients {
		clients[i] = o.client()
	}
	each := func() error {
		slots := make(chan struct{}, 100)
		failures := make(chan error, o.count)
		for _, client := range clients {
			slots <- struct{}{}
			go func() {
				failures <- fetch(client, o.url)
				<-slots
			}()
		}
		var first error
		for range clients {
			if err := <-failures; err != nil && first == nil {
				first = err
			}
		}
		return first
	}
	if err := each(); err != nil {
		return nil, err
	}
	if err := each(); err != nil {
		return nil, fmt.Errorf("the second time: %w", err)
	}
	return map[string]int{"held": o.count}, nil
}
