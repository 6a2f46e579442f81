package main

import (
	"io"
	"net/http"
)

// get is a client as Go programs are written: it takes the system's roots, and says what it got.
func get(o options) (any, error) {
	response, err := http.Get(o.to)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}
