package machine

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"strings"

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
	// Name is a path on the disk, where no tree lies below it.
	Name  string
	Stamp archive.Stamp
}

// takeBack removes from a kept disk what the start before gave: a guest that nobody intercepts any more is not to go
// on trusting the authority of its earlier life. What the guest changed since is its own. No tree may be mounted yet:
// what is removed over one leaves a mark that hides what the tree has there, for good.
func takeBack(disk archive.Tree) {
	for _, each := range readLent() {
		// What cannot be removed stays. The guest may have seen to that, who then has it, and is to start all the same.
		disk.RemoveUnchanged(each.Name, each.Stamp)
	}
}

// lend writes down what a start gives, by its names in the root.
func lend(disk archive.Tree, trees []Share, names []string) error {
	given := make([]lent, 0, len(names))
	for _, name := range names {
		place := placeOnDisk(trees, name)
		stamp, err := disk.Stamp(place)
		if errors.Is(err, os.ErrNotExist) {
			continue // in a directory such as /run, which is not on the disk
		}
		if err != nil {
			return err
		}
		given = append(given, lent{place, stamp})
	}
	return writeLent(given)
}

// placeOnDisk is where a file of the root is kept: in the layer over the innermost tree that it is in.
func placeOnDisk(trees []Share, name string) string {
	name = path.Join("/", name)
	place := path.Join("root", name)
	for _, tree := range inOrder(trees) {
		at := strings.TrimSuffix(path.Clean(tree.At), "/") + "/"
		if inside, found := strings.CutPrefix(name, at); found {
			place = path.Join(layer(tree), "upper", inside)
		}
	}
	return place
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

// writeLent has the record be the earlier one until it is whole.
func writeLent(given []lent) error {
	const fresh = lentRecord + ".new"
	text, err := json.Marshal(given)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := os.WriteFile(fresh, text, 0o600); err != nil {
		os.Remove(fresh)
		if errors.Is(err, unix.ENOSPC) {
			return nil // whose disk is full has to start, to make room
		}
		return err
	}
	if found, err := os.Lstat(lentRecord); err == nil && found.IsDir() { // which no file takes the place of
		if err := os.RemoveAll(lentRecord); err != nil {
			return err
		}
	}
	return os.Rename(fresh, lentRecord)
}
