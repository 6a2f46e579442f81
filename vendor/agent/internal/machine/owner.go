package machine

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/archive"
	"sbx.dev/agent/internal/disk"
)

// ownerMark says on a disk whose it is.
const ownerMark = scratch + "/owner"

// identities are files by which programs know one machine from another, and which they make where there are none;
// and the certificates of another guest's authority, from before it was written down what a start gives.
var identities = []struct{ directory, pattern string }{
	{"root/etc/ssh", "ssh_host_*"},
	{"root/etc/dropbear", "dropbear_*_host_key"},
	{"root/var/lib/dbus", "machine-id"},
	{"root/var/lib/systemd", "random-seed"},
	{"root/var/lib/systemd", "credential.secret"},
	{"root/etc/ssl/certs", "sbx-authority.pem"},
	{layer(Share{At: "/usr"}) + "/upper/local/share/ca-certificates", "sbx-authority.crt"},
}

// wholeRoot is where the files of a root are that is somebody's tree.
var wholeRoot = layer(Share{At: "/"}) + "/upper/"

// adopt makes a disk its owner's. Where it has somebody else's mark it is a copy of his: what made his machine known
// is not this one's.
func adopt(tree archive.Tree, owner string) error {
	if owner == "" || readOwner() == owner {
		return nil
	}
	id, err := hex.DecodeString(owner)
	if err != nil || len(id) != 16 {
		return fmt.Errorf("%q is no owner", owner)
	}
	for _, each := range identities {
		places := []string{each.directory}
		if inRoot, found := strings.CutPrefix(each.directory, "root/"); found {
			places = append(places, wholeRoot+inRoot)
		}
		for _, place := range places {
			if err := tree.RemoveMatching(place, each.pattern); err != nil {
				return fmt.Errorf("remove %s/%s: %w", place, each.pattern, err)
			}
		}
	}
	root, err := os.Open(scratch)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := disk.SetIdentity(root, [16]byte(id)); err != nil {
		return fmt.Errorf("give the file system another identity: %w", err)
	}
	return writeOwner(owner)
}

func readOwner() string {
	file, err := os.OpenFile(ownerMark, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 64))
	if err != nil {
		return ""
	}
	return string(text)
}

// writeOwner writes the mark, which must not be on the disk before everything that it stands for is.
func writeOwner(owner string) error {
	const fresh = ownerMark + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := os.WriteFile(fresh, []byte(owner), 0o600); err != nil {
		return err
	}
	root, err := unix.Open(scratch, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	if err := unix.Syncfs(root); err != nil {
		return err
	}
	return os.Rename(fresh, ownerMark)
}
