package main

import (
	"os"
	"path/filepath"
	"testing"
)

// A log that is too long begins anew, whether whoever opened it appends or not; a short one stays.
func TestShorten(t *testing.T) {
	for name, flags := range map[string]int{"appended": os.O_APPEND, "written": 0} {
		path := filepath.Join(t.TempDir(), name)
		log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|flags, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		for _, size := range []int{10, mostLog} {
			if _, err := log.Write(make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			if size == 10 {
				shorten(log)
			}
		}
		if info, _ := os.Stat(path); info.Size() != mostLog+10 {
			t.Errorf("%s: a short log was shortened to %d", name, info.Size())
		}
		shorten(log)
		log.WriteString("anew\n")
		if text, _ := os.ReadFile(path); string(text) != "anew\n" {
			t.Errorf("%s: left %d bytes", name, len(text))
		}
	}
}
