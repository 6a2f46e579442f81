package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	minFrame = header.EthernetMinimumSize
	// frameHead is the length before each frame on a stream.
	frameHead = 4
	// maxFrame is an MTU of 65520 with its ethernet header, and some slack for a VLAN tag.
	maxFrame = 65550
	// maxClaim is the largest length that can be a frame's: QEMU sends what the guest's card was given. Beyond
	// it the stream is out of step.
	maxClaim = 1 << 20
)

// framing reads and writes ethernet frames on a transport.
type framing interface {
	// readFrame returns the next frame, or nothing for one that cannot be; the slice is valid until the next
	// call.
	readFrame() ([]byte, error)
	// writeFrames sends frames. It waits for a guest that is paused: the queue before it is bounded, and
	// half a frame would make the guest misread all that follow.
	writeFrames(frames []frameParts) error
}

// frameParts is one frame in pieces: the ethernet header and the packet's slices.
type frameParts struct {
	size  int
	parts [][]byte
}

// link is the guest's cable. It is the first thing that guest bytes meet: what is not a plausible
// frame of this one guest goes no further.
type link struct {
	frames  framing
	addrs   linkAddresses
	mtu     uint32
	mu      sync.RWMutex
	disp    stack.NetworkDispatcher
	wmu     sync.Mutex
	headers []byte
	batch   []frameParts
	drops   atomic.Uint64
	// undelivered hears of datagrams to the guest that found nobody listening.
	undelivered func(stack.TransportEndpointID)
}

func (l *link) MTU() uint32                             { return l.mtu }
func (l *link) SetMTU(mtu uint32)                       { l.mtu = mtu }
func (l *link) MaxHeaderLength() uint16                 { return header.EthernetMinimumSize }
func (l *link) LinkAddress() tcpip.LinkAddress          { return l.addrs.gatewayMAC }
func (l *link) SetLinkAddress(tcpip.LinkAddress)        {}
func (l *link) Wait()                                   {}
func (l *link) Close()                                  {}
func (l *link) SetOnCloseAction(func())                 {}
func (l *link) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }
func (l *link) AddHeader(*stack.PacketBuffer)           {}
func (l *link) ParseHeader(*stack.PacketBuffer) bool    { return true }
func (l *link) GSOMaxSize() uint32                      { return stack.GVisorGSOMaxSize }
func (l *link) SupportedGSO() stack.SupportedGSO        { return stack.GVisorGSOSupported }
func (l *link) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityResolutionRequired | stack.CapabilityRXChecksumOffload
}

func (l *link) Attach(disp stack.NetworkDispatcher) {
	l.mu.Lock()
	l.disp = disp
	l.mu.Unlock()
}

func (l *link) IsAttached() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.disp != nil
}

// receive delivers frames until the guest is gone.
func (l *link) receive() error {
	for {
		frame, err := l.frames.readFrame()
		if err != nil {
			return err
		}
		if len(frame) < minFrame {
			l.drops.Add(1)
			continue
		}
		if reply := l.addrs.answer(frame, l.mtu); reply != nil {
			l.writeRaw(reply)
			continue
		}
		if !l.addrs.admits(frame) {
			l.drops.Add(1)
			continue
		}
		if id, ok := portUnreachable(frame); ok && l.undelivered != nil {
			l.undelivered(id)
		}
		view := buffer.NewViewWithData(frame)
		packet := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(view)})
		packet.LinkHeader().Consume(header.EthernetMinimumSize)
		l.mu.RLock()
		disp := l.disp
		l.mu.RUnlock()
		if disp != nil {
			disp.DeliverNetworkPacket(header.Ethernet(frame).Type(), packet)
		}
		packet.DecRef()
	}
}

// WritePackets is called by the queueing discipline's single goroutine.
func (l *link) WritePackets(packets stack.PacketBufferList) (int, tcpip.Error) {
	l.wmu.Lock()
	defer l.wmu.Unlock()
	n := packets.Len()
	if need := n * header.EthernetMinimumSize; cap(l.headers) < need {
		l.headers = make([]byte, need)
	}
	headers, batch := l.headers[:0], l.batch[:0]
	for _, packet := range packets.AsSlice() {
		if l.addrs.claimsForeign(packet) {
			continue
		}
		start := len(headers)
		headers = append(headers, packet.EgressRoute.RemoteLinkAddress...)
		headers = append(headers, l.addrs.gatewayMAC...)
		headers = binary.BigEndian.AppendUint16(headers, uint16(packet.NetworkProtocolNumber))
		parts := append([][]byte{headers[start:]}, packet.AsSlices()...)
		batch = append(batch, frameParts{packet.Size() + header.EthernetMinimumSize, parts})
	}
	err := l.frames.writeFrames(batch)
	clear(batch)
	l.batch = batch[:0]
	if err != nil {
		return 0, &tcpip.ErrAborted{}
	}
	return n, nil
}

func (l *link) writeRaw(frame []byte) {
	l.wmu.Lock()
	defer l.wmu.Unlock()
	l.frames.writeFrames([]frameParts{{len(frame), [][]byte{frame}}})
}

// streamFraming is QEMU's: a 32-bit big-endian length before each frame.
type streamFraming struct {
	conn net.Conn
	r    *bufio.Reader
	read int // of r's buffer, by the frame that was returned last
	iov  net.Buffers
	lens []byte
}

func newStreamFraming(conn net.Conn) *streamFraming {
	return &streamFraming{conn: conn, r: bufio.NewReaderSize(conn, 4*maxFrame)}
}

// readFrame returns a piece of its reader's buffer: frames of 64 KiB are worth saving a copy.
func (s *streamFraming) readFrame() ([]byte, error) {
	s.r.Discard(s.read)
	s.read = 0
	head, err := s.r.Peek(frameHead)
	if err != nil {
		return nil, cutShort(head, err)
	}
	n := binary.BigEndian.Uint32(head)
	if n > maxClaim {
		return nil, fmt.Errorf("frame of %d bytes", n)
	}
	if n > maxFrame { // no packet of the link's MTU: as good as none
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

func (s *streamFraming) writeFrames(frames []frameParts) error {
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
