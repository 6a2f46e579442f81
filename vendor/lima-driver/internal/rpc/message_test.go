package rpc

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The messages with one field are the well-known wrappers by another name, of which the library knows
// how they are written.
func TestMessagesAreThoseOfTheProtobufLibrary(t *testing.T) {
	for _, text := range []string{"", "127.0.0.1", "\x00\xff", string(make([]byte, 1<<20))} {
		var read wrapperspb.BytesValue
		if err := proto.Unmarshal(Value(text).marshal(), &read); err != nil || string(read.Value) != text {
			t.Errorf("%d bytes became %d: %v", len(text), len(read.Value), err)
		}
		written, _ := proto.Marshal(wrapperspb.Bytes([]byte(text)))
		var value Value
		if err := value.unmarshal(written); err != nil || string(value) != text {
			t.Errorf("%d bytes were read as %d: %v", len(text), len(value), err)
		}
	}
	for _, truth := range []bool{false, true} {
		var read wrapperspb.BoolValue
		if err := proto.Unmarshal(Flag(truth).marshal(), &read); err != nil || read.Value != truth {
			t.Errorf("%v became %v: %v", truth, read.Value, err)
		}
	}
}

func FuzzValue(f *testing.F) {
	f.Add([]byte{})
	f.Add(Value("text").marshal())
	f.Add(append(Progress{Success: true, Error: "why"}.marshal(), Value("x").marshal()...))
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, message []byte) {
		var ours Value
		var theirs wrapperspb.BytesValue
		failed, wrong := ours.unmarshal(message), proto.Unmarshal(message, &theirs)
		if wrong == nil && (failed != nil || !bytes.Equal(ours, theirs.Value)) {
			t.Fatalf("%x: %q, %v, and not %q", message, ours, failed, theirs.Value)
		}
	})
}
