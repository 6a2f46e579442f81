package tree

import (
	"bytes"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Limits of Linux: of a name, which is a byte long, of a value, and of all names of a file together.
const (
	maxAttributeName = 255
	maxValue         = 64 << 10
	maxNames         = 64 << 10
	maxAttribute     = 1 + maxAttributeName + maxValue
)

const carried = "user."

// isCarried leaves out what the kernel acts on, such as capabilities, and what it does not let anybody set.
func isCarried(name string) bool { return len(name) > len(carried) && strings.HasPrefix(name, carried) }

// attributes writes those of an open file or directory. Where a file system has none there are none.
func (p *packer) attributes(file *os.File) error {
	fd := int(file.Fd())
	length, err := unix.Flistxattr(fd, nil)
	if err != nil || length == 0 {
		return nil
	}
	if p.names == nil {
		p.names, p.value = make([]byte, maxNames), make([]byte, maxValue)
	}
	if length, err = unix.Flistxattr(fd, p.names); err != nil {
		return nil
	}
	for _, name := range bytes.Split(p.names[:length], []byte{0}) {
		if !isCarried(string(name)) {
			continue
		}
		length, err := unix.Fgetxattr(fd, string(name), p.value)
		if err != nil { // it is gone
			continue
		}
		if err := p.w.Attribute(string(name), p.value[:length]); err != nil {
			return err
		}
	}
	return nil
}

// attributesOf writes those of a directory, which need not be there any more.
func (p *packer) attributesOf(directory string) error {
	if !p.withAttributes {
		return nil
	}
	file, err := os.OpenFile(directory, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil
	}
	defer file.Close()
	return p.attributes(file)
}

// attribute gives it to what was entered last, of which it says how it is reached.
func (u *unpacker) attribute(a Attribute) error {
	u.names += len(a.Name) + 1
	if u.bearer == "" || u.names > maxNames {
		return errMalformed
	}
	// Whatever the reason, a copy is one without: the file system may have none, or no room for this one.
	if unix.Lsetxattr(u.bearer, a.Name, a.Value, 0) != nil {
		u.made.AttributesLeftOut++
	}
	return nil
}
