package process

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"sbx.dev/agent/internal/session"
)

func TestLookUpFindsWhatExecvpWould(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	denied := file("first/tool", 0o644)
	tool := file("second/tool", 0o755)
	file("first/only", 0o644)
	file("here", 0o755)
	if err := os.Mkdir(filepath.Join(dir, "second/folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Dir(denied) + ":" + filepath.Dir(tool)
	for _, test := range []struct{ name, path, want, code string }{
		{"tool", path, tool, ""},
		{"only", path, "", notExecutable},
		{"folder", path, "", notFound},
		{"none", path, "", notFound},
		{"tool", "", "", notFound},
		{"here", "", "./here", ""},
		{"here", "/nowhere:.", "./here", ""},
		{"./here", path, "./here", ""},
		{"second/tool", path, "second/tool", ""},
		{tool, path, tool, ""},
		{denied, path, "", notExecutable},
		{"second/folder", path, "", notExecutable},
		{"here/below", path, "", notFound},
		{"", path, "", notFound},
	} {
		got, err := lookUp(test.name, test.path, dir)
		var failure *session.Failure
		code := ""
		if errors.As(err, &failure) {
			code = failure.Code
		}
		if got != test.want || code != test.code {
			t.Errorf("lookUp(%q, %q) gives %q, %v; want %q, %q", test.name, test.path, got, err, test.want, test.code)
		}
	}
}

func TestTheEnvironmentIsTheRootsThenTheUsersThenTheHosts(t *testing.T) {
	spec := Spec{TTY: &TTY{Term: "vt100"}, Env: []byte("HOME=/elsewhere\x00X=1=2\x00Y=\xff\x00")}
	around := Surroundings{Env: map[string]string{"PATH": "/bin", "LANG": "C.UTF-8", "HOME": "/nowhere", "X": "0"}}
	env := around.environment(spec, account{name: "root", home: "/root"})
	for name, want := range map[string]string{
		"HOME": "/elsewhere", "X": "1=2", "Y": "\xff", "USER": "root", "TERM": "vt100", "PATH": "/bin", "LANG": "C.UTF-8",
	} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
}
