// Package tree carries a file or directory with everything below it as a stream of records, depth first,
// so that either end holds one file at a time. docs/agent-protocol.md specifies the format.
package tree

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// Kind is a record's.
type Kind uint8

const (
	KindEntry Kind = 1
	KindData  Kind = 2
	KindHole  Kind = 3
	KindEnd   Kind = 4
	// KindAttribute follows the entry of the file or directory whose it is.
	KindAttribute Kind = 5
)

// Type says what an entry is.
type Type uint8

const (
	File      Type = 1
	Directory Type = 2
	Symlink   Type = 3
	// Link is another name of the file that came with the same ID.
	Link Type = 4
	// Other is what has no content to carry, such as a device.
	Other Type = 5
	// Gone is what was there before, in a list of changes; no tree has it.
	Gone Type = 6
)

// MaxData bounds the payload of a record, but for those of attributes.
const MaxData = 64 << 10

const (
	recordHead = 4
	entryHead  = 1 + 2 + 8 + 8 + 4 + 4 + 4 + 8 + 2
	maxName    = 4096
)

// Entry is one file of a tree.
type Entry struct {
	Type Type
	// Mode holds permission bits with set-user-ID, set-group-ID and sticky.
	Mode uint16
	// Size is what it was when the entry was written; the content may have become another.
	Size uint64
	// Seconds since 1970 and Nanoseconds are the time of the last change of the content.
	Seconds     int64
	Nanoseconds uint32
	UID, GID    uint32
	// ID ties the names of one file together; 0 where it has a single one.
	ID uint64
	// Name is the path below the root of the tree, whose own name is empty.
	Name string
	// Target is where a symbolic link leads.
	Target string
}

// Attribute is an extended attribute of the file or directory that was entered last.
type Attribute struct {
	// Name begins with "user.": what other attributes say is for the system that they are of.
	Name  string
	Value []byte
}

var errMalformed = errors.New("the tree is malformed")

// Writer puts records onto a stream.
type Writer struct {
	to   io.Writer
	room []byte
}

// NewWriter returns a Writer, which writes small pieces: a buffer belongs behind it.
func NewWriter(to io.Writer) *Writer {
	return &Writer{to: to, room: make([]byte, recordHead+entryHead+2*maxName)}
}

// Entry writes what a file is.
func (w *Writer) Entry(e Entry) error {
	if len(e.Name) > maxName || len(e.Target) > maxName {
		return errors.New("a name is longer than 4096 bytes")
	}
	b := w.room[recordHead:recordHead]
	b = append(b, byte(e.Type))
	b = binary.BigEndian.AppendUint16(b, e.Mode)
	b = binary.BigEndian.AppendUint64(b, e.Size)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Seconds))
	b = binary.BigEndian.AppendUint32(b, e.Nanoseconds)
	b = binary.BigEndian.AppendUint32(b, e.UID)
	b = binary.BigEndian.AppendUint32(b, e.GID)
	b = binary.BigEndian.AppendUint64(b, e.ID)
	b = binary.BigEndian.AppendUint16(b, uint16(len(e.Name)))
	b = append(append(b, e.Name...), e.Target...)
	w.head(KindEntry, len(b))
	_, err := w.to.Write(w.room[:recordHead+len(b)])
	return err
}

// Attribute writes one of what was entered last, before its content.
func (w *Writer) Attribute(name string, value []byte) error {
	head := 1 + len(name)
	w.head(KindAttribute, head+len(value))
	w.room[recordHead] = byte(len(name))
	copy(w.room[recordHead+1:], name)
	if _, err := w.to.Write(w.room[:recordHead+head]); err != nil {
		return err
	}
	_, err := w.to.Write(value)
	return err
}

// Data writes the next bytes of the file that was entered last, at most MaxData.
func (w *Writer) Data(b []byte) error {
	w.head(KindData, len(b))
	if _, err := w.to.Write(w.room[:recordHead]); err != nil {
		return err
	}
	_, err := w.to.Write(b)
	return err
}

// Hole says that the next bytes of the file are zeros which take no room.
func (w *Writer) Hole(bytes int64) error {
	w.head(KindHole, 8)
	binary.BigEndian.PutUint64(w.room[recordHead:], uint64(bytes))
	_, err := w.to.Write(w.room[:recordHead+8])
	return err
}

// End says that the tree is whole.
func (w *Writer) End() error {
	w.head(KindEnd, 0)
	_, err := w.to.Write(w.room[:recordHead])
	return err
}

func (w *Writer) head(kind Kind, length int) {
	binary.BigEndian.PutUint32(w.room, uint32(kind)<<24|uint32(length))
}

// Reader takes records off a stream.
type Reader struct {
	from io.Reader
	room []byte
}

// NewReader returns a Reader, which reads small pieces: a buffer belongs before it.
func NewReader(from io.Reader) *Reader {
	return &Reader{from: from, room: make([]byte, max(MaxData, maxAttribute))}
}

// Record is one of an entry, an attribute, data, a hole or the end, as Kind says.
type Record struct {
	Kind  Kind
	Entry Entry
	// Attribute has a value that is valid until the next record is read.
	Attribute Attribute
	// Data is valid until the next record is read.
	Data []byte
	Hole int64
}

// Next reads a record. A stream that ends before KindEnd gives io.ErrUnexpectedEOF.
func (r *Reader) Next() (Record, error) {
	var head [recordHead]byte
	if _, err := io.ReadFull(r.from, head[:]); err != nil {
		return Record{}, whole(err)
	}
	length := int(binary.BigEndian.Uint32(head[:]) & 0xff_ffff)
	most := MaxData
	if Kind(head[0]) == KindAttribute {
		most = maxAttribute
	}
	if length > most {
		return Record{}, errMalformed
	}
	payload := r.room[:length]
	if _, err := io.ReadFull(r.from, payload); err != nil {
		return Record{}, whole(err)
	}
	record := Record{Kind: Kind(head[0])}
	var err error
	switch {
	case record.Kind == KindEntry:
		record.Entry, err = parseEntry(payload)
	case record.Kind == KindAttribute:
		record.Attribute, err = parseAttribute(payload)
	case record.Kind == KindData && length > 0:
		record.Data = payload
	case record.Kind == KindHole && length == 8:
		record.Hole = int64(binary.BigEndian.Uint64(payload))
		if record.Hole <= 0 {
			err = errMalformed
		}
	case record.Kind == KindEnd && length == 0:
	default:
		err = errMalformed
	}
	return record, err
}

func parseEntry(b []byte) (Entry, error) {
	if len(b) < entryHead {
		return Entry{}, errMalformed
	}
	e := Entry{
		Type:        Type(b[0]),
		Mode:        binary.BigEndian.Uint16(b[1:]),
		Size:        binary.BigEndian.Uint64(b[3:]),
		Seconds:     int64(binary.BigEndian.Uint64(b[11:])),
		Nanoseconds: binary.BigEndian.Uint32(b[19:]),
		UID:         binary.BigEndian.Uint32(b[23:]),
		GID:         binary.BigEndian.Uint32(b[27:]),
		ID:          binary.BigEndian.Uint64(b[31:]),
	}
	length := int(binary.BigEndian.Uint16(b[39:]))
	texts := b[entryHead:]
	if e.Type < File || e.Type > Gone || length > len(texts) {
		return Entry{}, errMalformed
	}
	e.Name, e.Target = string(texts[:length]), string(texts[length:])
	if strings.IndexByte(e.Name, 0) >= 0 || strings.IndexByte(e.Target, 0) >= 0 {
		return Entry{}, errMalformed
	}
	return e, nil
}

func parseAttribute(b []byte) (Attribute, error) {
	if len(b) == 0 || int(b[0]) > len(b)-1 {
		return Attribute{}, errMalformed
	}
	name, value := string(b[1:1+int(b[0])]), b[1+int(b[0]):]
	if !isCarried(name) || strings.IndexByte(name, 0) >= 0 || len(value) > maxValue {
		return Attribute{}, errMalformed
	}
	return Attribute{name, value}, nil
}

func whole(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
