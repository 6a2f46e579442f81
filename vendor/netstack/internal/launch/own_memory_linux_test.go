package launch

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// memoryFile has something at each of the offsets, and otherwise nothing.
func memoryFile(t *testing.T, size int64, at ...int64) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "memory")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}
	for _, offset := range at {
		if _, err := file.WriteAt([]byte("something"), offset); err != nil {
			t.Fatal(err)
		}
	}
	opened, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return opened
}

func TestACopyHasWhatTheFileHasAndNoRoomForZeros(t *testing.T) {
	for name, offsets := range map[string][]int64{
		"nothing":              {},
		"the first byte":       {0},
		"the last ones":        {3*piece - 9},
		"across two pages":     {pageSize - 4},
		"across two pieces":    {piece - 4},
		"many, far apart":      {0, 5 * pageSize, piece, piece + 7*pageSize, 2*piece + 123},
		"neighbours, one page": {10 * pageSize, 10*pageSize + 100},
	} {
		file := memoryFile(t, 3*piece, offsets...)
		want, err := io.ReadAll(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := ownMemory(int(file.Fd())); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := make([]byte, len(want)+1)
		n, err := file.ReadAt(got, 0)
		if n != len(want) || err != io.EOF || !bytes.Equal(got[:n], want) {
			t.Errorf("%s: the copy is another, of %d bytes: %v", name, n, err)
		}
		var status unix.Stat_t
		if err := unix.Fstat(int(file.Fd()), &status); err != nil {
			t.Fatal(err)
		}
		if most := int64(2*len(offsets)) * pageSize / 512; status.Blocks > most {
			t.Errorf("%s: the copy takes %d blocks, more than %d", name, status.Blocks, most)
		}
	}
}

func TestACopyIsNobodyElsesAndCanBeWrittenTo(t *testing.T) {
	file := memoryFile(t, piece, 0)
	path := file.Name()
	if err := ownMemory(int(file.Fd())); err != nil {
		t.Fatal(err)
	}
	// As QEMU opens it: by its descriptor, for writing.
	copied, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(int(file.Fd())), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	if _, err := copied.WriteAt([]byte("another"), 0); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(kept), "something") {
		t.Errorf("what was copied has %q now: %v", kept[:9], err)
	}
}

func TestWhatIsNoFileOfMemoryIsRefused(t *testing.T) {
	directory, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer directory.Close()
	empty := memoryFile(t, 0)
	for name, fd := range map[string]int{"a directory": int(directory.Fd()), "nothing": 999, "an empty file": int(empty.Fd())} {
		if err := ownMemory(fd); err == nil {
			t.Errorf("%s was copied", name)
		}
	}
}
