package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/pkg/sftp"
	gossh "golang.org/x/crypto/ssh"
)

// pair is a private key as OpenSSH writes it, and a signer of it.
func pair(t *testing.T) (string, gossh.Signer) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), signer
}

func firstLineOf(hostKey string, client gossh.Signer) string {
	line, _ := json.Marshal(map[string]string{
		"hostKey":   hostKey,
		"clientKey": string(gossh.MarshalAuthorizedKey(client.PublicKey())),
	})
	return string(line) + "\n"
}

// connected are two ends; both sides of SSH speak first, so they have a buffer between them.
func connected(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if ours, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if theirs, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// dial logs in with the auth that is given, to a server that lets in `allowed`.
func dial(t *testing.T, allowed gossh.Signer, auth ...gossh.AuthMethod) (*gossh.Client, error) {
	t.Helper()
	hostKey, host := pair(t)
	k, err := readKeys(strings.NewReader(firstLineOf(hostKey, allowed)))
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := connected(t)
	go serve(k, theirs, nil)
	conn, channels, requests, err := gossh.NewClientConn(ours, "sandbox", &gossh.ClientConfig{
		User:            "anybody",
		Auth:            auth,
		HostKeyCallback: gossh.FixedHostKey(host.PublicKey()),
	})
	if err != nil {
		return nil, err
	}
	client := gossh.NewClient(conn, channels, requests)
	t.Cleanup(func() { client.Close() })
	return client, nil
}

func logIn(t *testing.T) *gossh.Client {
	t.Helper()
	_, own := pair(t)
	client, err := dial(t, own, gossh.PublicKeys(own))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestOnlyTheClientsKeyLogsIn(t *testing.T) {
	_, own := pair(t)
	_, other := pair(t)
	if _, err := dial(t, own, gossh.PublicKeys(own)); err != nil {
		t.Errorf("its own key: %v", err)
	}
	for what, auth := range map[string][]gossh.AuthMethod{
		"no key":      nil,
		"another key": {gossh.PublicKeys(other)},
		"a password":  {gossh.Password("")},
	} {
		if _, err := dial(t, own, auth...); err == nil {
			t.Errorf("%s was let in", what)
		}
	}
}

func TestACommandHasItsStreamsAndItsEnd(t *testing.T) {
	client := logIn(t)
	for script, want := range map[string]struct {
		out    string
		status int
		signal string
	}{
		"cat; exit 7":         {"typed", 7, ""},
		"cat >/dev/null; :":   {"", 0, ""},
		"kill -TERM $$":       {"", 0, "TERM"},
		"cat; sleep 10 & :":   {"typed", 0, ""},
		"printf '%s' \"$W\"":  {"word", 0, ""},
		"no-such-program-sbx": {"", 127, ""},
	} {
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		session.Setenv("W", "word")
		session.Stdin = strings.NewReader("typed")
		out, err := session.Output(script)
		var exit *gossh.ExitError
		status, signal := 0, ""
		if errors.As(err, &exit) {
			status, signal = exit.ExitStatus(), exit.Signal()
		} else if err != nil {
			t.Errorf("%s: %v", script, err)
		}
		if signal != "" { // of those the client's library makes 128 + N
			status = 0
		}
		if string(out) != want.out || status != want.status || signal != want.signal {
			t.Errorf("%s: %q, %d, %q", script, out, status, signal)
		}
	}
}

func TestCommandsAreToldThatTheClientIsGoneBeforeTheServerIs(t *testing.T) {
	for what, end := range map[string]func(*gossh.Client, chan os.Signal){
		"the client goes": func(client *gossh.Client, _ chan os.Signal) { client.Close() },
		"sbx hangs up":    func(_ *gossh.Client, hungUp chan os.Signal) { hungUp <- syscall.SIGHUP },
	} {
		hostKey, host := pair(t)
		_, own := pair(t)
		k, err := readKeys(strings.NewReader(firstLineOf(hostKey, own)))
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := connected(t)
		hungUp, over := make(chan os.Signal), make(chan struct{})
		go func() {
			defer close(over)
			serve(k, theirs, hungUp)
		}()
		conn, channels, requests, err := gossh.NewClientConn(ours, "sandbox", &gossh.ClientConfig{
			User:            "anybody",
			Auth:            []gossh.AuthMethod{gossh.PublicKeys(own)},
			HostKeyCallback: gossh.FixedHostKey(host.PublicKey()),
		})
		if err != nil {
			t.Fatal(err)
		}
		client := gossh.NewClient(conn, channels, requests)
		defer client.Close()
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		out, err := session.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		// What the command is told, it writes to a pipe, whose end comes when it has ended.
		fifo := filepath.Join(t.TempDir(), "told")
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		told, err := os.OpenFile(fifo, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer told.Close()
		if err := session.Start("trap 'echo hung up >" + fifo + "; exit' HUP; echo ready; while :; do sleep 0.1; done"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
			t.Fatal(err)
		}
		end(client, hungUp)
		<-over
		line := make([]byte, len("hung up\n"))
		if _, err := io.ReadFull(told, line); err != nil || string(line) != "hung up\n" {
			t.Errorf("%s: %q, %v", what, line, err)
		}
	}
}

func TestATerminalHasItsSize(t *testing.T) {
	session, err := logIn(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.RequestPty("xterm", 33, 101, nil); err != nil {
		t.Fatal(err)
	}
	out, err := session.Output("stty size; echo $TERM; tty >/dev/null")
	if err != nil || strings.ReplaceAll(string(out), "\r", "") != "33 101\nxterm\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestATerminalThatABackgroundProcessKeepsDoesNotKeepTheSession(t *testing.T) {
	session, err := logIn(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.RequestPty("xterm", 24, 80, nil); err != nil {
		t.Fatal(err)
	}
	late := filepath.Join(t.TempDir(), "late")
	out, err := session.Output("trap '' HUP; (sleep 15; echo >" + late + ") & echo $!")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGKILL)
	if _, err := os.Lstat(late); err == nil {
		t.Error("the session lasted as long as what was left behind")
	}
}

func TestFilesAndForwardedPorts(t *testing.T) {
	client := logIn(t)
	files, err := sftp.NewClient(client)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "note")
	file, err := files.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(file, "kept")
	file.Close()
	if kept, err := os.ReadFile(path); err != nil || string(kept) != "kept" {
		t.Errorf("%q, %v", kept, err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			io.Copy(conn, conn)
			conn.Close()
		}
	}()
	conn, err := client.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "there and back")
	conn.(interface{ CloseWrite() error }).CloseWrite()
	if back, err := io.ReadAll(conn); err != nil || string(back) != "there and back" {
		t.Errorf("%q, %v", back, err)
	}
}

func TestWhatIsNoLineOfKeysIsRefused(t *testing.T) {
	hostKey, client := pair(t)
	good := firstLineOf(hostKey, client)
	for what, line := range map[string]string{
		"an end":       strings.TrimSuffix(good, "\n"),
		"no JSON":      "SSH-2.0-x\n",
		"no keys":      "{}\n",
		"half of them": `{"hostKey":` + strings.Split(good, `"hostKey":`)[1][:40] + "\"}\n",
		"too long":     strings.Repeat(" ", maxKeys+1) + good,
	} {
		if _, err := readKeys(strings.NewReader(line)); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	// What follows the line is SSH's.
	rest := strings.NewReader(good + "SSH-2.0-client\r\n")
	if _, err := readKeys(rest); err != nil || rest.Len() != len("SSH-2.0-client\r\n") {
		t.Errorf("%d bytes are left, %v", rest.Len(), err)
	}
}
