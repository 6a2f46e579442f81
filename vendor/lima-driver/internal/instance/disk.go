package instance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CreateDisk makes the image that Lima fetched the instance's disk, which Lima enlarges afterwards. A
// disk that is there stays.
func CreateDisk(directory string) error {
	disk := filepath.Join(directory, "disk")
	if _, err := os.Lstat(disk); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot make the disk: %w", err)
	}
	if err := os.Rename(filepath.Join(directory, "image"), disk); err != nil {
		return fmt.Errorf("cannot make the disk of the image: %w; 'limactl delete' the instance, and make it anew", err)
	}
	return nil
}
