package link

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// streamFraming is QEMU's: a 32-bit big-endian length before each frame.
type streamFraming struct {
	conn net.Conn
	r    *bufio.Reader
	read int // of r's buffer, by the frame that was returned last
	iov  net.Buffers
	lens []byte
}

func NewStream(conn net.Conn) *streamFraming {
	return &streamFraming{conn: conn, r: bufio.NewReaderSize(conn, 4*MaxFrame)}
}

// ReadFrame returns a piece of its reader's buffer: frames of 64 KiB are worth saving a copy.
func (s *streamFraming) ReadFrame() ([]byte, error) {
	s.r.Discard(s.read)
	s.read = 0
	head, err := s.r.Peek(frameHead)
	if err != nil {
		return nil, cutShort(head, err)
	}
	n := binary.BigEndian.Uint32(head)
	if n > MaxClaim {
		return nil, fmt.Errorf("frame of %d bytes", n)
	}
	if n > MaxFrame { // no packet of the link's MTU: as good as none
		_, err := s.r.Discard(frameHead + int(n))
		return nil, err
	}
	whole, err := s.r.Peek(frameHead + int(n))
	if err != nil {
		return nil, cutShort(whole, err)
	}
	s.read = len(whole)
	return whole[frameHead:], nil
}

// cutShort tells an end between two frames from one inside.
func cutShort(got []byte, err error) error {
	if errors.Is(err, io.EOF) && len(got) > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (s *streamFraming) WriteFrames(frames []Parts) error {
	if need := len(frames) * 4; cap(s.lens) < need {
		s.lens = make([]byte, 0, need)
	}
	lens, iov := s.lens[:0], s.iov[:0]
	for _, frame := range frames {
		lens = binary.BigEndian.AppendUint32(lens, uint32(frame.size))
		iov = append(iov, lens[len(lens)-4:])
		iov = append(iov, frame.parts...)
	}
	s.iov = iov
	out := iov
	_, err := out.WriteTo(s.conn)
	clear(s.iov)
	return err
}
