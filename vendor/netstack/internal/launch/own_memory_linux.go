package launch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// ownMemory puts in the place of a descriptor, which is a file, a copy of it that is memory of the
// program's alone. Where the file has nothing but zeros, the copy takes no room.
//
// A guest that goes on from a template maps the template copy-on-write, and of what it changes nobody
// else sees anything. File daemons have to: they read the guest's requests where it writes them.
func ownMemory(fd int) error {
	var status unix.Stat_t
	if err := unix.Fstat(fd, &status); err != nil {
		return fmt.Errorf("launch: descriptor %d: %w", fd, err)
	}
	if status.Mode&unix.S_IFMT != unix.S_IFREG || status.Size == 0 {
		return fmt.Errorf("launch: descriptor %d is not a file of memory", fd)
	}
	copied, err := unix.MemfdCreate("memory", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("cannot make memory: %w", err)
	}
	defer unix.Close(copied)
	if err := unix.Ftruncate(copied, status.Size); err != nil {
		return err
	}
	written, err := extents(fd, status.Size)
	if err != nil {
		return err
	}
	if err := copyExtents(copied, fd, written); err != nil {
		return fmt.Errorf("cannot copy the memory: %w", err)
	}
	return unix.Dup3(copied, fd, 0)
}

// extent is a part of a file that was written to.
type extent struct{ from, to int64 }

// piece is what one processor copies at a time.
const piece = 4 << 20

// extents are no longer than a piece each.
func extents(fd int, size int64) ([]extent, error) {
	var found []extent
	for at := int64(0); at < size; {
		from, err := unix.Seek(fd, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // there is no more
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		to, err := unix.Seek(fd, from, unix.SEEK_HOLE)
		if err != nil {
			return nil, err
		}
		for at = from; at < to; at += piece {
			found = append(found, extent{at, min(at+piece, to)})
		}
		at = to
	}
	return found, nil
}

// copyExtents keeps all processors at it: the kernel makes a page of memory for each that is copied,
// which takes as long as copying it.
func copyExtents(to, from int, all []extent) error {
	queue := make(chan extent, len(all))
	for _, each := range all {
		queue <- each
	}
	close(queue)
	workers := min(runtime.NumCPU(), len(all))
	failures := make([]error, workers)
	var working sync.WaitGroup
	for worker := range workers {
		working.Go(func() {
			for each := range queue {
				if failures[worker] = copyExtent(to, from, each); failures[worker] != nil {
					return
				}
			}
		})
	}
	working.Wait()
	return errors.Join(failures...)
}

func copyExtent(to, from int, e extent) error {
	size := int(e.to - e.from)
	content, err := unix.Mmap(from, e.from, size, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_POPULATE)
	if err != nil {
		return os.NewSyscallError("mmap", err)
	}
	defer unix.Munmap(content)
	for at := 0; at < size; {
		run := pages(content[at:], true)
		if run == 0 {
			at += pages(content[at:], false)
			continue
		}
		for end := at + run; at < end; {
			n, err := unix.Pwrite(to, content[at:end], e.from+int64(at))
			if err != nil {
				return err
			}
			if n == 0 {
				return io.ErrShortWrite
			}
			at += n
		}
	}
	return nil
}

const pageSize = 4096

var zeros [pageSize]byte

// pages is the length of the pages at the beginning that have something in them, or have nothing.
func pages(content []byte, something bool) (length int) {
	for length < len(content) {
		page := content[length:min(length+pageSize, len(content))]
		if bytes.Equal(page, zeros[:len(page)]) == something {
			break
		}
		length += len(page)
	}
	return length
}
