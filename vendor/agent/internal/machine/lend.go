package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/archive"
)

// lentRecord says on a kept disk what the last start gave the guest. What it wrote itself beside that is in other
// places.
const lentRecord = scratch + "/lent"

// maxLent is more than what a start gives can take to write down.
const maxLent = 4 << 20

// lent is a file that holds for one life of the guest.
type lent struct {
	Name  string
	Stamp archive.Stamp
}

// lend has a start give its files on a kept disk, in the place of those that the start before gave: a guest that
// nobody intercepts any more is not to go on trusting the authority of its earlier life. What the guest changed since
// is its own.
func lend(give func() ([]string, error)) error {
	tree, err := archive.OpenTree(newRoot)
	if err != nil {
		return err
	}
	defer tree.Close()
	for _, each := range readLent() {
		// Where root of the guest allows nobody to, it stays.
		if err := tree.RemoveUnchanged(each.Name, each.Stamp); err != nil && err != unix.EPERM {
			return fmt.Errorf("take back %s: %w", each.Name, err)
		}
	}
	if err := os.RemoveAll(lentRecord); err != nil {
		return err
	}
	names, err := give()
	if err != nil {
		return err
	}
	given := make([]lent, 0, len(names))
	for _, name := range names {
		stamp, err := tree.Stamp(name)
		if err != nil {
			return err
		}
		given = append(given, lent{name, stamp})
	}
	return writeLent(given)
}

// readLent reads what may be anything: a guest can write to its disk as it likes, and then loses its own files.
func readLent() (known []lent) {
	file, err := os.OpenFile(lentRecord, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer file.Close()
	if json.NewDecoder(io.LimitReader(file, maxLent)).Decode(&known) != nil {
		return nil
	}
	return known
}

func writeLent(given []lent) error {
	text, err := json.Marshal(given)
	if err != nil {
		return err
	}
	err = os.WriteFile(lentRecord, text, 0o600)
	if errors.Is(err, unix.ENOSPC) {
		return nil // whose disk is full has to start, to make room
	}
	return err
}
