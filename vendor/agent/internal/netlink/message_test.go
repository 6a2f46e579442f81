package netlink

import (
	"bytes"
	"errors"
	"net/netip"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// The bytes are laid out by hand from netlink(7) and rtnetlink(7).
func TestMessages(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("the bytes are little endian")
	}
	for name, test := range map[string]struct {
		message message
		want    []byte
	}{
		"link up with an MTU": {upMessage(2, 65520), []byte{
			40, 0, 0, 0, 16, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,
			8, 0, 4, 0, 0xf0, 0xff, 0, 0,
		}},
		"link up": {upMessage(1, 0), []byte{
			32, 0, 0, 0, 16, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,
		}},
		"IPv4 address": {addressMessage(2, netip.MustParsePrefix("192.168.127.2/24")), []byte{
			40, 0, 0, 0, 20, 0, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0,
			2, 24, 2, 0, 2, 0, 0, 0,
			8, 0, 2, 0, 192, 168, 127, 2, 8, 0, 1, 0, 192, 168, 127, 2,
		}},
		"IPv4 default route": {defaultRouteMessage(2, netip.MustParseAddr("192.168.127.1")), []byte{
			44, 0, 0, 0, 24, 0, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0,
			2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0,
			8, 0, 5, 0, 192, 168, 127, 1, 8, 0, 4, 0, 2, 0, 0, 0,
		}},
	} {
		if got := test.message.encode(7); !bytes.Equal(got, test.want) {
			t.Errorf("%s:\n got %v\nwant %v", name, got, test.want)
		}
	}
}

func TestAnswersOfTheKernel(t *testing.T) {
	header := make([]byte, unix.SizeofNlMsghdr)
	header[4] = unix.NLMSG_ERROR
	if err := acknowledged(append(header, 0, 0, 0, 0)); err != nil {
		t.Errorf("an acknowledgement gives %v", err)
	}
	if err := acknowledged(append(header, 0xef, 0xff, 0xff, 0xff)); !errors.Is(err, unix.EEXIST) {
		t.Errorf("error 17 gives %v", err)
	}
	for _, short := range [][]byte{nil, header, header[:3]} {
		if err := acknowledged(short); err == nil {
			t.Errorf("%v passes for an acknowledgement", short)
		}
	}
}
