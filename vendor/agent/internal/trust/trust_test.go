package trust

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVariablesAreCompletedAndOwnBundlesExtended(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := &Config{
		Authority:  write("authority.pem", "AUTHORITY\n"),
		Variables:  map[string]string{"FREE": "/bundle", "OWN": "/bundle"},
		extensions: filepath.Join(dir, "run", "trust"),
	}
	own := write("own.pem", "OWN") // without a line end
	large := write("large.pem", "")
	if err := os.Truncate(large, maxBundle+1); err != nil {
		t.Fatal(err)
	}
	has := write("has.pem", "x\nAUTHORITY\ny\n")
	for _, test := range []struct{ name, value, want, content string }{
		{"absolute", own, "", "OWN\nAUTHORITY\n"},
		{"relative", "own.pem", "", "OWN\nAUTHORITY\n"},
		{"changed since", write("own2.pem", "NEW\n"), "", "NEW\n\nAUTHORITY\n"},
		{"has it already", has, has, ""},
		{"missing", "/none/such.pem", "/none/such.pem", ""},
		{"a directory", dir, dir, ""},
		{"a device", "/dev/zero", "/dev/zero", ""},
		{"too large", large, large, ""},
		{"empty", "", "", ""},
	} {
		env := map[string]string{"OWN": test.value, "OTHER": "x"}
		config.Apply(env, dir)
		if env["FREE"] != "/bundle" || env["OTHER"] != "x" {
			t.Errorf("%s: %v", test.name, env)
		}
		if test.content == "" {
			if env["OWN"] != test.want {
				t.Errorf("%s: OWN is %q, want %q", test.name, env["OWN"], test.want)
			}
			continue
		}
		content, err := os.ReadFile(env["OWN"])
		if err != nil || string(content) != test.content {
			t.Errorf("%s: %s holds %q, %v", test.name, env["OWN"], content, err)
		}
		if !strings.HasPrefix(env["OWN"], config.extensions) {
			t.Errorf("%s: written to %s", test.name, env["OWN"])
		}
	}
	if left, _ := filepath.Glob(filepath.Join(config.extensions, "new-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWithoutTrustTheEnvironmentStays(t *testing.T) {
	env := map[string]string{"A": "1"}
	(*Config)(nil).Apply(env, "/")
	if len(env) != 1 {
		t.Errorf("%v", env)
	}
}
