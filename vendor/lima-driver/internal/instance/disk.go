package instance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// CreateDisk makes the image that Lima fetched the instance's disk, and that as large as it is to be. A disk
// that is there stays. Both are raw, and nothing is left of them for Lima to look at or to resize: it would go
// by what the disk begins with, which the guest writes.
func CreateDisk(directory string, instance []byte) error {
	disk := filepath.Join(directory, "disk")
	if _, err := os.Lstat(disk); errors.Is(err, fs.ErrNotExist) {
		if err := os.Rename(filepath.Join(directory, "image"), disk); err != nil {
			return fmt.Errorf("cannot make the disk of the image: %w; 'limactl delete' the instance, and make it anew", err)
		}
	} else if err != nil {
		return fmt.Errorf("cannot make the disk: %w", err)
	}
	if err := requireRaw(disk); err != nil {
		return err
	}
	return enlarge(disk, instance)
}

// requireRaw fails for a disk that begins as an image of another format does. Lima goes by that before each
// start, and has qemu-img resize such an image: of qcow2 that opens, and makes larger, whatever files and
// addresses its head names.
func requireRaw(disk string) error {
	file, err := os.Open(disk)
	if err != nil {
		return fmt.Errorf("cannot look at the disk: %w", err)
	}
	defer file.Close()
	head := make([]byte, sector)
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("cannot look at the disk: %w", err)
	}
	if format := formatOf(head[:n]); format != "" {
		return fmt.Errorf("cannot start: the disk begins as %s does, and Lima would open what the guest wrote there; "+
			"write zeros over its first %d bytes (%s), or remove the guest", format, sector, disk)
	}
	return nil
}

// enlarge gives a disk the size that its instance has it at. A smaller one is for Lima to refuse.
func enlarge(disk string, instance []byte) error {
	var wanted struct {
		Disk int64 `json:"disk"`
	}
	if err := json.Unmarshal(instance, &wanted); err != nil {
		return fmt.Errorf("cannot say how large the disk is to be: %w; sbx needs Lima 2.2 or newer", err)
	}
	info, err := os.Stat(disk)
	if err == nil && info.Size() < wanted.Disk {
		err = os.Truncate(disk, wanted.Disk)
	}
	if err != nil {
		return fmt.Errorf("cannot make the disk larger: %w", err)
	}
	return nil
}

// sector is how much of a disk Lima goes by.
const sector = 512

// formats are those that Lima knows besides raw, by where and how they begin.
var formats = []struct {
	name  string
	at    int
	magic string
}{
	{"qcow2", 0, "QFI\xfb"},
	{"vmdk", 0, "KDMV"},
	{"vmdk", 0, "COWD"},
	{"vmdk", 0, "# Disk DescriptorFile"},
	{"vhdx", 0, "vhdxfile"},
	{"vdi", 0x40, "\x7f\x10\xda\xbe"},
	{"parallels", 0, "WithoutFreeSpace"},
	{"parallels", 0, "WithouFreSpacExt"},
	{"vpc", 0, "conectix"},
	{"asif", 0, "shdw"},
}

// formatOf is what Lima takes a disk for that begins so; empty: raw.
func formatOf(head []byte) string {
	for _, format := range formats {
		if len(head) > format.at && bytes.HasPrefix(head[format.at:], []byte(format.magic)) {
			return format.name
		}
	}
	return ""
}
