package instance

import "encoding/json"

// Survivable is an instance that sbx did not configure, with the one thing without which Lima ends in a
// panic, before it could say what is wrong.
func Survivable(instance []byte) []byte {
	var fields, config map[string]json.RawMessage
	if json.Unmarshal(instance, &fields) != nil || json.Unmarshal(fields["config"], &config) != nil || config == nil {
		return instance
	}
	if kind := config["mountType"]; kind != nil && string(kind) != "null" {
		return instance
	}
	config["mountType"] = json.RawMessage(`"reverse-sshfs"`)
	var err error
	if fields["config"], err = json.Marshal(config); err != nil {
		return instance
	}
	out, err := json.Marshal(fields)
	if err != nil {
		return instance
	}
	return out
}
