package disk

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSizesAreThoseOfTheSuperblockAndTheDevice(t *testing.T) {
	device := filepath.Join(t.TempDir(), "device")
	superblock := make([]byte, 1024)
	binary.LittleEndian.PutUint32(superblock[0x4:], 7)
	binary.LittleEndian.PutUint32(superblock[0x150:], 1)
	if err := os.WriteFile(device, append(make([]byte, 1024), superblock...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(device, 10*blockSize+1); err != nil {
		t.Fatal(err)
	}
	got, err := sizes(device)
	if want := (extent{fileSystem: 1<<32 + 7, device: 10}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if err := os.Truncate(device, 2047); err != nil {
		t.Fatal(err)
	}
	if _, err := sizes(device); err == nil {
		t.Error("a device without a whole superblock has a size")
	}
}

func TestTablesAreOnlyPutOffWhereTheFileSystemGrows(t *testing.T) {
	for size, want := range map[extent]bool{{1, 2}: false, {2, 2}: true, {3, 2}: true} {
		if got := strings.Contains(options(size), "noinit_itable"); got != want {
			t.Errorf("%+v: %s", size, options(size))
		}
	}
}
