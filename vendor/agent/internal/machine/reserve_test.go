package machine

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"sbx.dev/agent/internal/nstest"
)

func TestTheReserveIsHeldWhateverAGuestPlantedInItsPlaces(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a root of its own needs real root")
	}
	if !nstest.Run(t, syscall.CLONE_NEWNS) {
		return
	}
	becomeInitramfs(t, t.TempDir())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(scratch, 0o755))
	must(os.WriteFile(scratch+"/own", []byte("own"), 0o600))
	disk, err := os.OpenRoot(scratch)
	must(err)
	defer disk.Close()
	held := func(number int) string { return filepath.Join(scratch, reserve, strconv.Itoa(number)) }
	for _, plant := range []func() error{
		func() error { return nil },
		func() error { return syscall.Mkfifo(held(0), 0o600) },
		func() error { return os.Symlink("../own", held(1)) },
		func() error { return os.MkdirAll(held(2)+"/in/it", 0o700) },
		func() error { return os.WriteFile(held(3), []byte("short"), 0o600) },
		func() error { return os.WriteFile(held(4), make([]byte, reservedBytes+1), 0o600) },
		func() error { return os.WriteFile(filepath.Join(scratch, reserve), nil, 0o600) },
		func() error { return os.Symlink("root", filepath.Join(scratch, reserve)) },
		func() error { return syscall.Mkfifo(filepath.Join(scratch, reserve), 0o600) },
	} {
		for number := range 5 {
			os.RemoveAll(held(number))
		}
		if plant() != nil { // in the place of the directory itself
			must(os.RemoveAll(filepath.Join(scratch, reserve)))
			must(plant())
		}
		must(holdReserve(disk))
		for number := range reservedFiles {
			found, err := os.Lstat(held(number))
			if err != nil || !found.Mode().IsRegular() || found.Size() != reservedBytes {
				t.Errorf("%d is %v, %v", number, found, err)
			}
		}
		if text, _ := os.ReadFile(scratch + "/own"); string(text) != "own" {
			t.Errorf("a link was followed: %q", text)
		}
	}
}
