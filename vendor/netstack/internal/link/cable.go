// Package link is the cable to the guest: ethernet frames on a transport, and what the gateway answers by
// itself.
package link

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	// MinFrame is an ethernet header.
	MinFrame = header.EthernetMinimumSize
	// frameHead is the length before each frame on a stream.
	frameHead = 4
	// MaxFrame is an MTU of 65520 with its ethernet header, and some slack for a VLAN tag.
	MaxFrame = 65550
	// MaxClaim is the largest length that can be a frame's: QEMU sends what the guest's card was given. Beyond
	// it the stream is out of step.
	MaxClaim = 1 << 20
)

// Framing reads and writes ethernet frames on a transport.
type Framing interface {
	// ReadFrame returns the next frame, or nothing for one that cannot be; the slice is valid until the next
	// call.
	ReadFrame() ([]byte, error)
	// WriteFrames sends frames. It waits for a guest that is paused: the queue before it is bounded, and
	// half a frame would make the guest misread all that follow.
	WriteFrames(frames []Parts) error
}

// Parts is one frame in pieces: the ethernet header and the packet's slices.
type Parts struct {
	size  int
	parts [][]byte
}

// Cable is the guest's cable. It is the first thing that guest bytes meet: what is not a plausible
// frame of this one guest goes no further.
type Cable struct {
	// Addrs are those of the guest and the gateway.
	Addrs   Addresses
	frames  Framing
	mtu     uint32
	mu      sync.RWMutex
	disp    stack.NetworkDispatcher
	wmu     sync.Mutex
	headers []byte
	batch   []Parts
	// Bytes of frames so far.
	fromGuest, toGuest atomic.Uint64
	// Undelivered hears of datagrams to the guest that found nobody listening.
	Undelivered func(stack.TransportEndpointID)
}

func (l *Cable) MTU() uint32                             { return l.mtu }
func (l *Cable) SetMTU(mtu uint32)                       { l.mtu = mtu }
func (l *Cable) MaxHeaderLength() uint16                 { return header.EthernetMinimumSize }
func (l *Cable) LinkAddress() tcpip.LinkAddress          { return l.Addrs.gatewayMAC }
func (l *Cable) SetLinkAddress(tcpip.LinkAddress)        {}
func (l *Cable) Wait()                                   {}
func (l *Cable) Close()                                  {}
func (l *Cable) SetOnCloseAction(func())                 {}
func (l *Cable) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }
func (l *Cable) AddHeader(*stack.PacketBuffer)           {}
func (l *Cable) ParseHeader(*stack.PacketBuffer) bool    { return true }
func (l *Cable) GSOMaxSize() uint32                      { return stack.GVisorGSOMaxSize }
func (l *Cable) SupportedGSO() stack.SupportedGSO        { return stack.GVisorGSOSupported }
func (l *Cable) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityResolutionRequired | stack.CapabilityRXChecksumOffload
}

func (l *Cable) Attach(disp stack.NetworkDispatcher) {
	l.mu.Lock()
	l.disp = disp
	l.mu.Unlock()
}

func (l *Cable) IsAttached() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.disp != nil
}

// New is the cable of a guest that is not plugged in yet.
func New(addrs Addresses, mtu uint32) *Cable { return &Cable{Addrs: addrs, mtu: mtu} }

// Plug connects the guest's end.
func (l *Cable) Plug(frames Framing) { l.frames = frames }

// Traffic is how many bytes of frames there were so far, from the guest and to it.
func (l *Cable) Traffic() (fromGuest, toGuest uint64) {
	return l.fromGuest.Load(), l.toGuest.Load()
}

// Receive delivers frames until the guest is gone.
func (l *Cable) Receive() error {
	for {
		frame, err := l.frames.ReadFrame()
		if err != nil {
			return err
		}
		l.fromGuest.Add(uint64(len(frame)))
		if len(frame) < MinFrame {
			continue
		}
		if reply, own := l.Addrs.answer(frame, l.mtu); own {
			if reply != nil {
				l.writeRaw(reply)
			}
			continue
		}
		if !l.Addrs.admits(frame) {
			continue
		}
		if id, ok := portUnreachable(frame); ok && l.Undelivered != nil {
			l.Undelivered(id)
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
func (l *Cable) WritePackets(packets stack.PacketBufferList) (int, tcpip.Error) {
	l.wmu.Lock()
	defer l.wmu.Unlock()
	n := packets.Len()
	if need := n * header.EthernetMinimumSize; cap(l.headers) < need {
		l.headers = make([]byte, need)
	}
	headers, batch, size := l.headers[:0], l.batch[:0], 0
	for _, packet := range packets.AsSlice() {
		if l.Addrs.claimsForeign(packet) {
			continue
		}
		start := len(headers)
		headers = append(headers, packet.EgressRoute.RemoteLinkAddress...)
		headers = append(headers, l.Addrs.gatewayMAC...)
		headers = binary.BigEndian.AppendUint16(headers, uint16(packet.NetworkProtocolNumber))
		parts := append([][]byte{headers[start:]}, packet.AsSlices()...)
		batch = append(batch, Parts{packet.Size() + header.EthernetMinimumSize, parts})
		size += packet.Size() + header.EthernetMinimumSize
	}
	l.toGuest.Add(uint64(size))
	err := l.frames.WriteFrames(batch)
	clear(batch)
	l.batch = batch[:0]
	if err != nil {
		return 0, &tcpip.ErrAborted{}
	}
	return n, nil
}

func (l *Cable) writeRaw(frame []byte) {
	l.wmu.Lock()
	defer l.wmu.Unlock()
	l.toGuest.Add(uint64(len(frame)))
	l.frames.WriteFrames([]Parts{{len(frame), [][]byte{frame}}})
}
