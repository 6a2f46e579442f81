package instance

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAnInstanceRunsWhileALockOrACopyOfItIsOpen(t *testing.T) {
	directory := t.TempDir()
	if Runs(directory) {
		t.Fatal("it runs before anything was started")
	}
	lock, err := Lock(directory)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(directory); err == nil || !strings.Contains(err.Error(), "runs already") {
		t.Fatalf("a second lock: %v", err)
	}
	if !Runs(directory) || !Runs(directory) {
		t.Fatal("it does not run, or looking at it changed that")
	}
	lock.Close()
	if Runs(directory) {
		t.Fatal("it runs after its end")
	}
	again, err := Lock(directory)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestALinkInPlaceOfTheLockIsNotFollowed(t *testing.T) {
	directory := t.TempDir()
	target := filepath.Join(directory, "target")
	if err := os.Symlink(target, filepath.Join(directory, lockName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(directory); err == nil {
		t.Error("it was locked")
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("the link's target was made")
	}
}

func TestInspectionChangesNothingButTheStatus(t *testing.T) {
	directory := t.TempDir()
	instance := `{"name":"one","dir":"` + directory + `","memory":9007199254740993,"status":"","config":{"x":[1]}}`
	inspect := func() map[string]json.RawMessage {
		t.Helper()
		in, _ := json.Marshal([]byte(instance))
		var out bytes.Buffer
		if err := Inspect(bytes.NewReader(in), &out); err != nil {
			t.Fatal(err)
		}
		var text []byte
		var fields map[string]json.RawMessage
		if json.Unmarshal(out.Bytes(), &text) != nil || json.Unmarshal(text, &fields) != nil {
			t.Fatalf("not in Lima's form: %s", out.Bytes())
		}
		return fields
	}
	if got := inspect(); string(got["status"]) != `"Stopped"` || string(got["memory"]) != "9007199254740993" ||
		string(got["config"]) != `{"x":[1]}` {
		t.Errorf("before: %s", got)
	}
	lock, err := Lock(directory)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if got := inspect(); string(got["status"]) != `"Running"` {
		t.Errorf("while it runs: %s", got["status"])
	}
	for _, damaged := range []string{"", "{}", `"e30="`, `"bm8="`} {
		if err := Inspect(strings.NewReader(damaged), &bytes.Buffer{}); err == nil {
			t.Errorf("%q was inspected", damaged)
		}
	}
}

func TestTheImageBecomesTheDiskOnce(t *testing.T) {
	directory := t.TempDir()
	disk, image := filepath.Join(directory, "disk"), filepath.Join(directory, "image")
	if err := CreateDisk(directory, []byte(`{}`)); err == nil {
		t.Error("a disk of no image")
	}
	os.WriteFile(image, []byte("first"), 0o600)
	if err := CreateDisk(directory, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(image, []byte("second"), 0o600)
	for size, want := range map[string]string{`{"disk":3}`: "first", `{"disk":7}`: "first\x00\x00"} {
		os.Truncate(disk, 5)
		if err := CreateDisk(directory, []byte(size)); err != nil {
			t.Fatal(err)
		}
		if kept, _ := os.ReadFile(disk); string(kept) != want {
			t.Errorf("%s: %q", size, kept)
		}
	}
	if err := CreateDisk(directory, []byte(`[]`)); err == nil {
		t.Error("a disk of no instance")
	}
}

// Lima would have qemu-img resize what the guest wrote there.
func TestADiskThatLimaWouldNotTakeForRawIsRefused(t *testing.T) {
	directory := t.TempDir()
	disk := filepath.Join(directory, "disk")
	for _, format := range formats {
		os.WriteFile(disk, append(make([]byte, format.at), format.magic...), 0o600)
		err := CreateDisk(directory, []byte(`{"disk":4096}`))
		if err == nil || !strings.Contains(err.Error(), "begins as "+format.name+" does") {
			t.Errorf("%q: %v", format.magic, err)
		}
		if info, _ := os.Stat(disk); info.Size() > sector {
			t.Errorf("%q: it was made larger", format.magic)
		}
	}
	for _, head := range []string{"", "QFI", "\xebc\x90", "\x00QFI\xfb", strings.Repeat("\x00", 0x43) + "\xbe"} {
		os.WriteFile(disk, []byte(head), 0o600)
		if err := CreateDisk(directory, []byte(`{"disk":4096}`)); err != nil {
			t.Errorf("%q: %v", head, err)
		}
	}
}

func TestWhatSbxCouldNotConfigureDoesNotEndLima(t *testing.T) {
	for given, want := range map[string]string{
		`{"config":{}}`:                   `{"config":{"mountType":"reverse-sshfs"}}`,
		`{"config":{"mountType":null}}`:   `{"config":{"mountType":"reverse-sshfs"}}`,
		`{"config":{"mountType":"9p"}}`:   `{"config":{"mountType":"9p"}}`,
		`{"config":null}`:                 `{"config":null}`,
		`no JSON`:                         `no JSON`,
		`{"config":{"a":1},"dir":"/x/y"}`: `{"config":{"a":1,"mountType":"reverse-sshfs"},"dir":"/x/y"}`,
	} {
		if got := string(Survivable([]byte(given))); got != want {
			t.Errorf("%s became %s", given, got)
		}
	}
}
