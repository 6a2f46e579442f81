package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"testing/iotest"
)

type vector struct {
	Name  string
	From  string
	Bytes string
	Frame *struct {
		Kind    Kind
		Call    uint32
		Stream  uint8
		Payload string
	}
}

func vectors(t *testing.T) []vector {
	t.Helper()
	text, err := os.ReadFile("../../../../test/vectors/call_frames.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []vector }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Cases
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReaderTakesTheHostsFramesAndRefusesAllOthers(t *testing.T) {
	for _, v := range vectors(t) {
		if v.From != "host" {
			continue
		}
		for name, stream := range map[string]io.Reader{
			"whole":         bytes.NewReader(unhex(t, v.Bytes)),
			"byte for byte": iotest.OneByteReader(bytes.NewReader(unhex(t, v.Bytes))),
		} {
			h, payload, err := NewReader(stream).Next()
			if v.Frame == nil {
				if !errors.Is(err, ErrMalformed) {
					t.Errorf("%s, %s: got %v, want a malformed frame", v.Name, name, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s, %s: %v", v.Name, name, err)
				continue
			}
			want := Header{v.Frame.Kind, len(v.Frame.Payload) / 2, v.Frame.Call, v.Frame.Stream}
			if h != want || hex.EncodeToString(payload) != v.Frame.Payload {
				t.Errorf("%s, %s: got %+v %x, want %+v %s", v.Name, name, h, payload, want, v.Frame.Payload)
			}
		}
	}
}

func TestWriterWritesTheAgentsFrames(t *testing.T) {
	for _, v := range vectors(t) {
		if v.From != "agent" || v.Frame == nil {
			continue
		}
		var out bytes.Buffer
		room := append(make([]byte, HeaderSize), unhex(t, v.Frame.Payload)...)
		if err := NewWriter(&out).Send(v.Frame.Kind, v.Frame.Call, v.Frame.Stream, room); err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(out.Bytes()); got != v.Bytes {
			t.Errorf("%s: got %s, want %s", v.Name, got, v.Bytes)
		}
	}
}

func TestReaderKeepsFramesApartWhateverTheirSize(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var stream bytes.Buffer
	var want []int
	for range 300 {
		n := 1 + random.IntN(MaxData)
		kind := Data
		if random.IntN(10) == 0 {
			kind, n = Call, 2+random.IntN(MaxRequest-1)
		}
		room := make([]byte, HeaderSize+n)
		for i := range room[HeaderSize:] {
			room[HeaderSize+i] = byte(len(want))
		}
		NewWriter(&stream).Send(kind, 1, 0, room)
		want = append(want, n)
	}
	r := NewReader(&stream)
	for i, n := range want {
		_, payload, err := r.Next()
		if err != nil || len(payload) != n || payload[0] != byte(i) || payload[n-1] != byte(i) {
			t.Fatalf("frame %d: %d bytes, %v; want %d bytes", i, len(payload), err, n)
		}
	}
	if _, _, err := r.Next(); err != io.EOF {
		t.Errorf("after the last frame: %v, want EOF", err)
	}
}

func TestReaderTellsAnEndWithinAFrame(t *testing.T) {
	frame := make([]byte, HeaderSize+4)
	Header{Kind: Credit, Length: 4, Call: 1, Stream: 1}.Put(frame)
	for cut := 1; cut < len(frame); cut++ {
		if _, _, err := NewReader(bytes.NewReader(frame[:cut])).Next(); err != io.ErrUnexpectedEOF {
			t.Errorf("cut at %d: %v, want unexpected EOF", cut, err)
		}
	}
}

func FuzzReader(f *testing.F) {
	for _, seed := range []string{"0500000400000101000000ff", "010000020000010007b7d", ""} {
		b, _ := hex.DecodeString(seed)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := NewReader(bytes.NewReader(stream))
		for read := 0; ; {
			h, payload, err := r.Next()
			if err != nil {
				if err != io.EOF && err != io.ErrUnexpectedEOF && !errors.Is(err, ErrMalformed) {
					t.Fatalf("undeclared error %v", err)
				}
				return
			}
			read += HeaderSize + len(payload)
			if read > len(stream) || len(payload) != h.Length {
				t.Fatalf("frame of %d bytes out of %d", read, len(stream))
			}
			if h.Kind == Credit {
				_ = binary.BigEndian.Uint32(payload)
			}
		}
	})
}
