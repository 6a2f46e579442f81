package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const device = "eth0"

// networkConfig is static: there is one guest on the cable, and the host knows both its ends.
type networkConfig struct {
	MTU      int    `json:"mtu"`
	Guest4   string `json:"guest4"`
	Gateway4 string `json:"gateway4"`
	Guest6   string `json:"guest6"`
	Gateway6 string `json:"gateway6"`
}

func bringUpLoopback() error {
	n, err := openNetlink()
	if err != nil {
		return err
	}
	defer n.close()
	return n.setLink(1, 0)
}

func bringUp(c networkConfig) error {
	// The addresses are known to be free; probing for duplicates would cost the first second.
	for _, key := range []string{"accept_dad", "accept_ra", "dad_transmits"} {
		os.WriteFile("/proc/sys/net/ipv6/conf/"+device+"/"+key, []byte("0"), 0)
	}
	index, err := linkIndex(device)
	if err != nil {
		return err
	}
	n, err := openNetlink()
	if err != nil {
		return err
	}
	defer n.close()
	if err := n.setLink(index, c.MTU); err != nil {
		return err
	}
	for _, side := range []struct {
		guest, gateway string
		bits           uint8
	}{{c.Guest4, c.Gateway4, 24}, {c.Guest6, c.Gateway6, 64}} {
		guest, err := netip.ParseAddr(side.guest)
		if err != nil {
			return err
		}
		gateway, err := netip.ParseAddr(side.gateway)
		if err != nil {
			return err
		}
		if err := n.addAddress(index, guest, side.bits); err != nil {
			return err
		}
		if err := n.addDefaultRoute(index, gateway); err != nil {
			return err
		}
	}
	return nil
}

func linkIndex(name string) (int32, error) {
	text, err := os.ReadFile("/sys/class/net/" + name + "/ifindex")
	if err != nil {
		return 0, fmt.Errorf("no network device: %w", err)
	}
	var index int32
	_, err = fmt.Sscan(string(text), &index)
	return index, err
}

// netlink speaks just enough rtnetlink(7) to set one device up.
type netlink struct {
	fd  int
	seq uint32
}

func openNetlink() (*netlink, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	return &netlink{fd: fd}, err
}

func (n *netlink) close() { unix.Close(n.fd) }

// setLink brings a device up, with an MTU unless it is zero.
func (n *netlink) setLink(index int32, mtu int) error {
	body := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	binary.NativeEndian.PutUint32(body[8:], unix.IFF_UP)
	binary.NativeEndian.PutUint32(body[12:], unix.IFF_UP)
	if mtu > 0 {
		body = attribute(body, unix.IFLA_MTU, binary.NativeEndian.AppendUint32(nil, uint32(mtu)))
	}
	return n.request("link up", unix.RTM_NEWLINK, 0, body)
}

func (n *netlink) addAddress(index int32, addr netip.Addr, bits uint8) error {
	body := []byte{family(addr), bits, unix.IFA_F_NODAD, 0}
	body = binary.NativeEndian.AppendUint32(body, uint32(index))
	body = attribute(body, unix.IFA_LOCAL, addr.AsSlice())
	body = attribute(body, unix.IFA_ADDRESS, addr.AsSlice())
	return n.request("address "+addr.String(), unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, body)
}

func (n *netlink) addDefaultRoute(index int32, gateway netip.Addr) error {
	body := []byte{
		family(gateway), 0, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_BOOT, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST,
		0, 0, 0, 0,
	}
	body = attribute(body, unix.RTA_GATEWAY, gateway.AsSlice())
	body = attribute(body, unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, uint32(index)))
	return n.request("default route", unix.RTM_NEWROUTE, unix.NLM_F_CREATE, body)
}

func family(addr netip.Addr) byte {
	if addr.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func attribute(body []byte, kind uint16, value []byte) []byte {
	body = binary.NativeEndian.AppendUint16(body, uint16(4+len(value)))
	body = binary.NativeEndian.AppendUint16(body, kind)
	body = append(body, value...)
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	return body
}

// request sends one message and waits for its acknowledgement.
func (n *netlink) request(doing string, kind uint16, flags uint16, body []byte) error {
	n.seq++
	message := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	message = binary.NativeEndian.AppendUint16(message, kind)
	message = binary.NativeEndian.AppendUint16(message, unix.NLM_F_REQUEST|unix.NLM_F_ACK|flags)
	message = binary.NativeEndian.AppendUint32(message, n.seq)
	message = binary.NativeEndian.AppendUint32(message, 0)
	message = append(message, body...)
	if err := unix.Sendto(n.fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	reply := make([]byte, 4096)
	size, _, err := unix.Recvfrom(n.fd, reply, 0)
	if err != nil || size < unix.SizeofNlMsghdr+4 {
		return fmt.Errorf("%s: no acknowledgement: %w", doing, err)
	}
	if code := int32(binary.NativeEndian.Uint32(reply[unix.SizeofNlMsghdr:])); code != 0 {
		return fmt.Errorf("%s: %w", doing, unix.Errno(-code))
	}
	return nil
}

// addEntropy credits bytes to the kernel's pool and makes it use them at once (random(4)).
func addEntropy(fd uintptr, entropy []byte) {
	const rndAddEntropy, rndReseedCRNG = 0x40085203, 0x5207
	info := binary.NativeEndian.AppendUint32(nil, uint32(len(entropy)*8))
	info = binary.NativeEndian.AppendUint32(info, uint32(len(entropy)))
	info = append(info, entropy...)
	unix.Syscall(unix.SYS_IOCTL, fd, rndAddEntropy, uintptr(unsafe.Pointer(&info[0])))
	unix.Syscall(unix.SYS_IOCTL, fd, rndReseedCRNG, 0)
}
