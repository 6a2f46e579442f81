package process

import (
	"sort"
	"strings"

	"sbx.dev/agent/internal/trust"
)

// Defaults is what a command's environment holds unless the host says otherwise. Home is where the
// command starts, too.
type Defaults struct {
	Home string
	// Trust is asked at each start, since the machine learns of it only when it is configured. Nil, or
	// a nil answer: nothing is intercepted.
	Trust func() *trust.Config
}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment merges the defaults, the terminal's type and the host's wishes, the last winning.
func (d Defaults) environment(spec Spec) map[string]string {
	env := map[string]string{
		"PATH":    defaultPath,
		"HOME":    d.Home,
		"USER":    "root",
		"LOGNAME": "root",
		"SHELL":   "/bin/sh",
		"LANG":    "C.UTF-8",
	}
	if spec.TTY != nil && spec.TTY.Term != "" {
		env["TERM"] = spec.TTY.Term
	}
	for name, value := range spec.Env {
		env[name] = value
	}
	return env
}

func list(env map[string]string) []string {
	lines := make([]string, 0, len(env))
	for name, value := range env {
		// execve(2) cannot carry NUL, and ForkExec would refuse the whole command for it.
		lines = append(lines, strings.ReplaceAll(name+"="+value, "\x00", ""))
	}
	sort.Strings(lines)
	return lines
}
