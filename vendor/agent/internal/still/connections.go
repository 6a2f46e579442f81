package still

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ResetConnections breaks off every TCP connection that leads out of the machine: who is at their other ends speaks to
// another machine. Whoever reads or writes there hears so (ECONNRESET) when he goes on, where he would wait for ever
// otherwise. What listens, and what is between processes of the machine, goes on. Among those of this process are the
// connections to published ports that it carries to a server of the loopback, which hears of it then. Answers how many
// there were.
func ResetConnections() (count int, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			count += resetOf(pid)
		}
	}
	return count, nil
}

func resetOf(pid int) (count int) {
	open := "/proc/" + strconv.Itoa(pid) + "/fd"
	files, err := os.ReadDir(open)
	if err != nil {
		return 0 // gone, or the kernel's
	}
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(process)
	for _, file := range files {
		number, err := strconv.Atoi(file.Name())
		if err != nil {
			continue
		}
		if target, err := os.Readlink(open + "/" + file.Name()); err != nil || !strings.HasPrefix(target, "socket:") {
			continue
		}
		socket, err := unix.PidfdGetfd(process, number, 0)
		if err != nil {
			continue
		}
		if leadsOut(socket) && disconnect(socket) {
			count++
		}
		unix.Close(socket)
	}
	return count
}

// leadsOut says whether it is a TCP socket with a peer that is not on the loopback.
func leadsOut(socket int) bool {
	if kind, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_PROTOCOL); err != nil || kind != unix.IPPROTO_TCP {
		return false
	}
	peer, err := unix.Getpeername(socket)
	if err != nil { // one that is not connected yet has its peer to hear from, too
		return isConnecting(socket)
	}
	return !isLoopback(peer)
}

func isConnecting(socket int) bool {
	const synSent = 2 // TCP_SYN_SENT
	info, err := unix.GetsockoptTCPInfo(socket, unix.IPPROTO_TCP, unix.TCP_INFO)
	return err == nil && info.State == synSent
}

func isLoopback(peer unix.Sockaddr) bool {
	switch address := peer.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(address.Addr).IsLoopback()
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(address.Addr).Unmap().IsLoopback()
	}
	return true
}

// disconnect is connect(2) to nowhere, which for TCP breaks the connection off.
func disconnect(socket int) bool {
	nowhere := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(socket), uintptr(unsafe.Pointer(&nowhere)), unsafe.Sizeof(nowhere))
	return errno == 0
}
