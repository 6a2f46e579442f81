// Package rpc is Lima's driver protocol: gRPC's service `Driver` with the messages that Lima 2.2 sends.
//
// gRPC itself is its library's. The messages have one or two fields each, and are written by hand: a
// compiler for them would bring more code than they are.
package rpc

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// errMessage is about bytes that are no protobuf message.
var errMessage = errors.New("malformed message")

// Value is a message whose only field, the first, is text or bytes. All of Lima's that carry something
// are, but two; a message that carries nothing is an empty one.
type Value []byte

// Flag is a message whose only field is a truth.
type Flag bool

// Progress is one message of the stream that Start answers with: success at once when the guest boots,
// failure for an error after that, success once more when it is gone.
type Progress struct {
	Success bool
	Error   string
}

func (v Value) marshal() []byte {
	if len(v) == 0 {
		return nil
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), v)
}

func (f Flag) marshal() []byte {
	if !f {
		return nil
	}
	return protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
}

func (p Progress) marshal() []byte {
	out := Flag(p.Success).marshal()
	if p.Error == "" {
		return out
	}
	return protowire.AppendString(protowire.AppendTag(out, 2, protowire.BytesType), p.Error)
}

// unmarshal reads the first field; later versions may send others, which mean nothing here.
func (v *Value) unmarshal(message []byte) error {
	*v = nil
	for len(message) > 0 {
		field, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return errMessage
		}
		message = message[size:]
		if field == 1 && kind == protowire.BytesType {
			value, size := protowire.ConsumeBytes(message)
			if size < 0 {
				return errMessage
			}
			*v, message = append(Value(nil), value...), message[size:]
			continue
		}
		if size = protowire.ConsumeFieldValue(field, kind, message); size < 0 {
			return errMessage
		}
		message = message[size:]
	}
	return nil
}

// codec is what gRPC reads and writes messages by.
type codec struct{}

var _ encoding.CodecV2 = codec{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(message any) (mem.BufferSlice, error) {
	known, ok := message.(interface{ marshal() []byte })
	if !ok {
		return nil, fmt.Errorf("no message: %T", message)
	}
	return mem.BufferSlice{mem.SliceBuffer(known.marshal())}, nil
}

func (codec) Unmarshal(data mem.BufferSlice, message any) error {
	known, ok := message.(*Value)
	if !ok {
		return fmt.Errorf("no message: %T", message)
	}
	return known.unmarshal(data.Materialize())
}
