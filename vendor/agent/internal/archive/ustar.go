package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// entry is what one header of an archive says.
type entry struct {
	kind byte
	name string
	link string
	mode uint32
	size int64
}

// Kinds of entries: those of POSIX, and GNU's, which bring a name or a link's target that is too long
// for the next header.
const (
	regular  = '0'
	symlink  = '2'
	folder   = '5'
	longLink = 'K'
	longName = 'L'
)

const (
	block = 512
	// maxName is more than PATH_MAX.
	maxName = 8192
)

var errMalformed = errors.New("the archive is malformed")

// reader takes an archive of the "ustar" format apart. archive/tar reads every dialect, and takes ten
// times as long for it, which a start under emulation pays for 500 headers.
type reader struct {
	from   io.Reader
	header [block]byte
	left   int64 // bytes of the current entry that were not read
	pad    int64 // bytes behind them that nobody gets
}

// next skips what is left of the current entry; io.EOF follows the last one.
func (r *reader) next() (entry, error) {
	var name, link string
	for {
		found, err := r.single()
		if err != nil {
			return entry{}, err
		}
		switch found.kind {
		case longName:
			name, err = r.text(found.size)
		case longLink:
			link, err = r.text(found.size)
		default:
			if name != "" {
				found.name = name
			}
			if link != "" {
				found.link = link
			}
			return found, nil
		}
		if err != nil {
			return entry{}, err
		}
	}
}

func (r *reader) single() (entry, error) {
	if _, err := io.CopyN(io.Discard, r.from, r.left+r.pad); err != nil {
		return entry{}, whole(err)
	}
	r.left, r.pad = 0, 0
	if _, err := io.ReadFull(r.from, r.header[:]); err != nil {
		return entry{}, whole(err) // an end without a mark is none
	}
	h := r.header[:]
	if h[0] == 0 {
		// The mark is two blocks.
		if _, err := io.ReadFull(r.from, r.header[:]); err != nil {
			return entry{}, whole(err)
		}
		return entry{}, io.EOF
	}
	mode, modeErr := octal(h[100:108])
	size, sizeErr := octal(h[124:136])
	sum, sumErr := octal(h[148:156])
	if err := errors.Join(modeErr, sizeErr, sumErr); err != nil || sum != checksum(h) {
		return entry{}, errMalformed
	}
	found := entry{
		kind: h[156],
		name: text(h[:100]),
		link: text(h[157:257]),
		mode: uint32(mode) & 0o777,
		size: size,
	}
	if found.kind == symlink || found.kind == folder {
		found.size = 0
	}
	r.left, r.pad = found.size, -found.size&(block-1)
	return found, nil
}

// Read reads the content of the current entry.
func (r *reader) Read(b []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.from.Read(b[:min(int64(len(b)), r.left)])
	r.left -= int64(n)
	if r.left > 0 {
		err = whole(err)
	}
	return n, err
}

func (r *reader) text(size int64) (string, error) {
	if size > maxName {
		return "", errMalformed
	}
	long := make([]byte, size)
	if _, err := io.ReadFull(r, long); err != nil {
		return "", whole(err)
	}
	return text(long), nil
}

// whole says that an end came too early.
func whole(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func text(field []byte) string {
	if end := bytes.IndexByte(field, 0); end >= 0 {
		field = field[:end]
	}
	return string(field)
}

// octal reads a number that spaces may lead and a space or NUL ends.
func octal(field []byte) (int64, error) {
	var value int64
	for _, c := range bytes.Trim(field, " \x00") {
		if c < '0' || c > '7' {
			return 0, fmt.Errorf("%q is no number", field)
		}
		value = value<<3 | int64(c-'0')
	}
	return value, nil
}

// checksum adds the header's bytes up, its own field as spaces.
func checksum(header []byte) int64 {
	sum := int64(8 * ' ')
	for i, c := range header {
		if i < 148 || i >= 156 {
			sum += int64(c)
		}
	}
	return sum
}
