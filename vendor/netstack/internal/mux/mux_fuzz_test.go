package mux

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"testing"

	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/nettest"
)

// datagramLog is a flow of datagrams that keeps what it gets.
type datagramLog struct{ got []string }

func (d *datagramLog) data(payload []byte) error { d.got = append(d.got, string(payload)); return nil }

func (d *datagramLog) eof() { d.got = append(d.got, "eof") }

func (d *datagramLog) reset() { d.got = append(d.got, "reset") }

func (d *datagramLog) credit(n uint32) error { d.got = append(d.got, fmt.Sprint(n)); return nil }

// muxEffect is all that frames of sbx can do to a stream, a flow of datagrams, and the channel.
func muxEffect(r io.Reader) []any {
	m := New(nettest.ReadOnly{Reader: r})
	s := m.Open(1, control.FlowInfo{}, 4096)
	d := &datagramLog{}
	m.register(2, control.FlowInfo{}, d, 0)
	err := m.Run()
	return []any{fmt.Sprint(err), string(s.inbox), s.window, s.budget, s.ended, s.aborted, d.got}
}

func FuzzMux(f *testing.F) {
	f.Add(append(nettest.MuxFrame(frameData, 1, []byte("hello")), nettest.MuxFrame(frameEOF, 1, []byte(""))...), []byte{0})
	f.Add(append(nettest.MuxFrame(frameData, 2, []byte("")), nettest.MuxFrame(frameReset, 1, []byte(""))...), []byte{7, 200})
	f.Add(append(nettest.MuxFrame(frameCredit, 1, []byte("\x00\x00\x00\x00")), nettest.MuxFrame(frameOpen, 3, []byte("{}"))...), []byte{3})
	f.Fuzz(func(t *testing.T, stream, sizes []byte) {
		whole := muxEffect(bytes.NewReader(stream))
		if cut := muxEffect(&nettest.Pieces{Bytes: stream, Sizes: sizes}); !reflect.DeepEqual(whole, cut) {
			t.Fatalf("whole: %v\ncut:   %v", whole, cut)
		}
		if window := whole[2].(int); window+len(whole[1].(string)) != 4096 {
			t.Fatalf("%d bytes are held and %d may still come", len(whole[1].(string)), window)
		}
	})
}
