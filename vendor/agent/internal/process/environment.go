package process

import (
	"maps"
	"sort"
	"strings"

	"sbx.dev/agent/internal/trust"
)

// Surroundings are what a command finds unless the host says otherwise.
type Surroundings struct {
	// Home is the home directory of whom commands run as, where they start.
	Home string
	// Name is theirs; empty means root.
	Name string
	// Env is what every environment begins with.
	Env map[string]string
	// Trust nil: nothing is intercepted.
	Trust *trust.Config
}

// environment merges what every command has, who it is, the terminal's type and the host's wishes, the
// last winning.
func (s Surroundings) environment(spec Spec, who account) map[string]string {
	env := map[string]string{}
	maps.Copy(env, s.Env)
	env["HOME"] = who.home
	if who.name != "" {
		env["USER"], env["LOGNAME"] = who.name, who.name
	}
	if spec.TTY != nil && spec.TTY.Term != "" {
		env["TERM"] = spec.TTY.Term
	}
	for _, entry := range stringsOf(spec.Env) {
		if name, value, ok := strings.Cut(entry, "="); ok && name != "" {
			env[name] = value
		}
	}
	return env
}

func list(env map[string]string) []string {
	lines := make([]string, 0, len(env))
	for name, value := range env {
		lines = append(lines, name+"="+value)
	}
	sort.Strings(lines)
	return lines
}
