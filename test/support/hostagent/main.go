// Command hostagent plays the hostagent of Lima towards the daemon of a user-v2 network, with the QEMU or the VZ
// driver in it: it plugs a guest in as they do, asks for its address, has its SSH exposed, and takes leave. Each
// step is a line on stdout. VZ is played by a QEMU on a pair of datagram sockets that ends with this process; "relay"
// is a QEMU whose cable ends in this process, which passes on what it says.
//
//	hostagent DRIVER INSTANCE NETWORK MAC PORT QEMU [ARGUMENT...]
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 7 {
		fmt.Fprintln(os.Stderr, "usage: hostagent DRIVER INSTANCE NETWORK MAC PORT QEMU [ARGUMENT...]")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6:]); err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
}

func run(driver, instance, network, mac, port string, qemu []string) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	end, args, err := plug(driver, network)
	if err != nil {
		return err
	}
	own := filepath.Join(instance, "ha.pid")
	os.WriteFile(own, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644)
	defer os.Remove(own)
	monitor := filepath.Join(instance, "qmp.sock")
	command := exec.Command(qemu[0], append(qemu[1:],
		"-netdev", args, "-device", "virtio-net-pci,netdev=net0,mac="+mac,
		"-chardev", "socket,id=char-qmp,path="+monitor+",server=on,wait=off", "-qmp", "chardev:char-qmp")...)
	command.ExtraFiles = []*os.File{end}
	command.Stderr = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{}
	pid := filepath.Join(instance, map[string]string{"qemu": "qemu", "relay": "qemu", "vz": "vz"}[driver]+".pid")
	if driver == "vz" {
		command.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	if err := command.Start(); err != nil {
		return err
	}
	end.Close()
	machine := command.Process.Pid
	if driver == "vz" {
		machine = os.Getpid()
	}
	os.WriteFile(pid, []byte(strconv.Itoa(machine)+"\n"), 0o644)
	defer os.Remove(pid)
	gone := make(chan error, 1)
	go func() { gone <- command.Wait() }()
	fmt.Println("started", command.Process.Pid)
	daemon := client{filepath.Join(network, "sbx_ep.sock")}
	go func() {
		if err := daemon.configure(mac, port); err != nil {
			fmt.Println("failed", err)
			return
		}
		fmt.Println("configured")
	}()
	select {
	case <-stop:
		daemon.post("/services/forwarder/unexpose", map[string]string{"local": "127.0.0.1:" + port, "protocol": "tcp"})
		powerDown(monitor)
		select {
		case <-gone:
		case <-time.After(5 * time.Second):
			command.Process.Kill()
			<-gone
		}
		fmt.Println("stopped")
	case <-gone:
		fmt.Println("gone")
	}
	return nil
}

// plug is the end for QEMU to inherit as descriptor 3, and what it is to make of it.
func plug(driver, network string) (*os.File, string, error) {
	kind := map[string]string{"qemu": "qemu", "relay": "qemu", "vz": "fd"}[driver]
	conn, err := net.Dial("unix", filepath.Join(network, "sbx_"+kind+".sock"))
	if err != nil {
		return nil, "", err
	}
	if driver == "qemu" {
		file, err := conn.(*net.UnixConn).File()
		return file, "socket,id=net0,fd=3", err
	}
	if driver == "relay" {
		end, err := relayed(conn)
		return end, "socket,id=net0,fd=3", err
	}
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return nil, "", err
	}
	_, _, err = conn.(*net.UnixConn).WriteMsgUnix([]byte{0}, syscall.UnixRights(pair[0]), nil)
	return os.NewFile(uintptr(pair[1]), "vz"), "dgram,id=net0,local.type=fd,local.str=3", err
}

// relayed is another end of a connection: whatever goes through it passes here.
func relayed(conn net.Conn) (*os.File, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	own, err := net.FileConn(os.NewFile(uintptr(pair[0]), "own"))
	if err != nil {
		return nil, err
	}
	go io.Copy(own, conn)
	go io.Copy(conn, own)
	return os.NewFile(uintptr(pair[1]), "relay"), nil
}

type client struct{ path string }

func (c client) http() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", c.path)
	}}}
}

func (c client) post(path string, body any) error {
	text, _ := json.Marshal(body)
	answer, err := c.http().Post("http://lima"+path, "application/json", bytes.NewReader(text))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, answer.Status)
	}
	return nil
}

// configure is what both drivers do once their guest runs.
func (c client) configure(mac, port string) error {
	var guest string
	for guest == "" {
		time.Sleep(500 * time.Millisecond)
		answer, err := c.http().Get("http://lima/services/dhcp/leases")
		if err != nil {
			return err
		}
		var leases map[string]string
		err = json.NewDecoder(answer.Body).Decode(&leases)
		answer.Body.Close()
		if err != nil {
			return err
		}
		for address, owner := range leases {
			if owner == mac {
				guest = address
			}
		}
	}
	if err := c.post("/services/forwarder/expose", map[string]string{
		"local": "127.0.0.1:" + port, "remote": guest + ":22", "protocol": "tcp"}); err != nil {
		return err
	}
	return c.post("/services/dns/add", map[string]any{"Name": "internal.", "Records": []map[string]string{
		{"Name": "lima-dev", "IP": guest}, {"Name": "host.lima", "IP": strings.Replace(guest, ".15", ".2", 1)}}})
}

func powerDown(monitor string) {
	conn, err := net.Dial("unix", monitor)
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, `{"execute":"qmp_capabilities"}{"execute":"system_powerdown"}`)
	conn.SetReadDeadline(time.Now().Add(time.Second))
	conn.Read(make([]byte, 4096))
}
