package instance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Inspect reads an instance as Lima writes it, JSON within a JSON string of base64, and answers it in
// the same form with its status.
func Inspect(in io.Reader, out io.Writer) error {
	var text []byte
	if err := json.NewDecoder(in).Decode(&text); err != nil {
		return fmt.Errorf("cannot read the instance: %w; sbx needs Lima 2.2 or newer", err)
	}
	// The other fields are Lima's own, and go back as they came.
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return fmt.Errorf("cannot read the instance: %w; sbx needs Lima 2.2 or newer", err)
	}
	var directory string
	if err := json.Unmarshal(fields["dir"], &directory); err != nil || directory == "" {
		return errors.New("cannot inspect the instance: it has no directory; sbx needs Lima 2.2 or newer")
	}
	fields["status"] = json.RawMessage(`"Stopped"`)
	if Runs(directory) {
		fields["status"] = json.RawMessage(`"Running"`)
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(text)
}
