package still

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestWhatIsWrittenBackHasAnEnd(t *testing.T) {
	root, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := WriteBack(time.Minute, root, t.TempDir(), "/nowhere"); err != nil {
		t.Error(err)
	}
	// As a file system does that a process which stands still serves.
	never := func() error { select {} }
	if err := inTime(time.Millisecond, never); err == nil || !strings.Contains(err.Error(), "written back") {
		t.Errorf("it ended with %v", err)
	}
}
