// Package guest is `sbx lima-guest`, the part of sbx that decides for a guest of Lima's and has it.
package guest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxLine holds any instance many times over.
const maxLine = 16 << 20

// Event is one line of what sbx says on its standard output.
type Event struct {
	// Kind is `configured`, `accepted`, `refused`, `running` or `ended`.
	Kind string `json:"event"`
	// Message says why, of `refused`, and of an `ended` that nobody asked for.
	Message string `json:"message"`
	Hint    string `json:"hint"`
	// Instance is what `configured` made of the one that was given.
	Instance json.RawMessage `json:"instance"`
}

// events reads what sbx says, line by line.
type events struct{ scanner *bufio.Scanner }

func readEvents(from io.Reader) events {
	scanner := bufio.NewScanner(from)
	scanner.Buffer(make([]byte, 0, 4096), maxLine)
	return events{scanner}
}

// next is the next event; io.EOF at the end.
func (e events) next() (Event, error) {
	var event Event
	if !e.scanner.Scan() {
		if err := e.scanner.Err(); err != nil {
			return event, err
		}
		return event, io.EOF
	}
	if err := json.Unmarshal(e.scanner.Bytes(), &event); err != nil {
		return event, fmt.Errorf("sbx said something that is no event: %w", err)
	}
	return event, nil
}

// fault is the failure that an event tells of, or nil.
func (e Event) fault() error {
	switch {
	case e.Message == "":
		return nil
	case e.Hint == "":
		return errors.New(e.Message)
	}
	return fmt.Errorf("%s; %s", e.Message, e.Hint)
}
