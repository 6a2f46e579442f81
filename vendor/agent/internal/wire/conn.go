package wire

import (
	"encoding/binary"
	"io"
	"sync"
)

// Reader takes frames off a byte stream.
type Reader struct {
	from    io.Reader
	buffer  []byte
	filled  int
	taken   int
	payload []byte // for frames that do not fit into buffer
}

// NewReader returns a Reader that asks from for up to MaxData bytes at a time.
func NewReader(from io.Reader) *Reader {
	return &Reader{from: from, buffer: make([]byte, HeaderSize+MaxData)}
}

// Next returns the next frame. The payload is valid until the following call. A stream that ends
// between frames gives io.EOF, within one io.ErrUnexpectedEOF.
func (r *Reader) Next() (Header, []byte, error) {
	head, err := r.take(HeaderSize)
	if err != nil {
		return Header{}, nil, err
	}
	h, err := ParseHeader(head)
	if err != nil {
		return h, nil, err
	}
	payload, err := r.take(h.Length)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return h, payload, err
}

func (r *Reader) take(n int) ([]byte, error) {
	if n > len(r.buffer) {
		return r.takeLarge(n)
	}
	if r.taken+n > len(r.buffer) {
		r.filled = copy(r.buffer, r.buffer[r.taken:r.filled])
		r.taken = 0
	}
	for r.filled-r.taken < n {
		got, err := r.from.Read(r.buffer[r.filled:])
		r.filled += got
		if err != nil && r.filled-r.taken < n {
			if err == io.EOF && r.filled > r.taken {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	b := r.buffer[r.taken : r.taken+n]
	r.taken += n
	if r.taken == r.filled {
		r.taken, r.filled = 0, 0
	}
	return b, nil
}

func (r *Reader) takeLarge(n int) ([]byte, error) {
	if cap(r.payload) < n {
		r.payload = make([]byte, n)
	}
	b := r.payload[:n]
	had := copy(b, r.buffer[r.taken:r.filled])
	r.taken, r.filled = 0, 0
	_, err := io.ReadFull(r.from, b[had:])
	return b, err
}

// Writer puts frames onto a byte stream, whole, from any goroutine.
type Writer struct {
	mutex sync.Mutex
	to    io.Writer
}

func NewWriter(to io.Writer) *Writer { return &Writer{to: to} }

// Send writes one frame out of room, whose first HeaderSize bytes are left free for the header, so
// that bulk data is read from a pipe and written to the port in the same memory.
func (w *Writer) Send(kind Kind, call uint32, stream uint8, room []byte) error {
	Header{Kind: kind, Length: len(room) - HeaderSize, Call: call, Stream: stream}.Put(room)
	w.mutex.Lock()
	defer w.mutex.Unlock()
	_, err := w.to.Write(room)
	return err
}

// SendCredit allows the host n more bytes of a stream.
func (w *Writer) SendCredit(call uint32, stream uint8, n int) error {
	var room [HeaderSize + 4]byte
	binary.BigEndian.PutUint32(room[HeaderSize:], uint32(n))
	return w.Send(Credit, call, stream, room[:])
}
