package link

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"testing"

	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/nettest"
)

// frames reads ethernet frames off a stream as QEMU sends it, until its error.
func framesOf(r io.Reader) (frames []string, err error) {
	s := NewStream(nettest.ReadOnly{Reader: r})
	for {
		frame, err := s.ReadFrame()
		if err != nil {
			return frames, err
		}
		if len(frame) > MaxFrame {
			return frames, fmt.Errorf("a frame of %d bytes", len(frame))
		}
		frames = append(frames, string(frame))
	}
}

func FuzzStreamFraming(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x05hello\x00\x00\x00\x00"), []byte{0})
	f.Add([]byte("\x00\x01\x00\x0f"+string(make([]byte, 300))), []byte{20})
	f.Add([]byte("\xff\xff\xff\xff"), []byte{1})
	f.Fuzz(func(t *testing.T, stream, sizes []byte) {
		whole, ended := framesOf(bytes.NewReader(stream))
		cut, endedCut := framesOf(&nettest.Pieces{Bytes: stream, Sizes: sizes})
		if !reflect.DeepEqual(whole, cut) || fmt.Sprint(ended) != fmt.Sprint(endedCut) {
			t.Fatalf("whole: %q, %v\ncut:   %q, %v", whole, ended, cut, endedCut)
		}
	})
}

func FuzzFrame(f *testing.F) {
	a, err := ParseAddresses(control.Endpoint(nettest.Guest), control.Endpoint(nettest.Gateway))
	if err != nil {
		f.Fatal(err)
	}
	for _, frame := range nettest.FrameCorpus() {
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) < MinFrame {
			return
		}
		before := string(frame)
		a.answer(frame, 1500)
		a.admits(frame)
		portUnreachable(frame)
		if string(frame) != before {
			t.Fatal("a parser wrote into the frame that it was given")
		}
	})
}

func FuzzAddresses(f *testing.F) {
	f.Add(nettest.Guest.MAC, nettest.Guest.IP4, nettest.Guest.IP6)
	f.Add("02-73-62-78-00-02", "192.168.127.2/24", "fe80::1%eth0")
	f.Fuzz(func(t *testing.T, mac, ip4, ip6 string) {
		end := control.Endpoint{MAC: mac, IP4: ip4, IP6: ip6}
		a, err := ParseAddresses(end, control.Endpoint(nettest.Gateway))
		if err == nil && (len(a.guestMAC) != 6 || !a.Guest4.Is4() || !a.Guest6.Is6()) {
			t.Fatalf("%q became %+v", end, a)
		}
	})
}
