package driver

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"sbx.dev/lima-driver/internal/guest"
	"sbx.dev/lima-driver/internal/instance"
)

// script plays sbx: it refuses what is called bad, and runs a guest until it is told to stop, or its
// input ends, which it writes down.
const script = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
case $2 in
configure) echo '{"event":"configured","instance":{"name":"'"$(cat mode)"'"}}' ;;
check)
  case $(cat) in
  *bad*) echo '{"event":"refused","message":"Cannot run it: it is bad","hint":"be good"}'; exit 125 ;;
  *) echo '{"event":"accepted"}' ;;
  esac ;;
run)
  read -r given
  case $given in
  *bad*) echo '{"event":"refused","message":"Cannot run it: it is bad"}'; exit 125 ;;
  *mute*) exit 3 ;;
  *babbling*) echo 'no event'; exec sleep 60 ;;
  esac
  echo '{"event":"running","pid":1}'
  case $given in
  *dying*) echo '{"event":"ended","message":"Cannot go on: it died"}'; exit 125 ;;
  *leaving*) echo '{"event":"ended"}'; exit 0 ;;
  *deaf*) exec sleep 60 ;;
  esac
  while read -r word; do
    [ "$word" = stop ] || continue
    echo '{"event":"ended"}'; touch stopped; exit 0
  done
  touch abandoned ;;
esac
`

// lima is Lima's side: a client that knows no message of ours, only the library's that are written alike.
type lima struct {
	*grpc.ClientConn
	t         *testing.T
	directory string
	served    chan error
}

func serve(t *testing.T, mode string) lima {
	t.Helper()
	directory := t.TempDir()
	sbx := filepath.Join(directory, "sbx")
	if err := os.WriteFile(sbx, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(directory, "mode"), []byte(mode), 0o600)
	served := make(chan error, 1)
	go func() { served <- Serve(guest.Command{"/bin/sh", sbx}, directory) }()
	path := filepath.Join(directory, "sbx.drv.sock")
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			break
		}
	}
	connection, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return lima{connection, t, directory, served}
}

// call makes a call with one answer; the context bounds tests that hang.
func (l lima) call(method string, in, out any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return l.Invoke(ctx, "/Driver/"+method, in, out)
}

func (l lima) configure() {
	l.t.Helper()
	var out wrapperspb.BytesValue
	if err := l.call("Configure", wrapperspb.Bytes([]byte(`{"name":"given"}`)), &out); err != nil {
		l.t.Fatal(err)
	}
}

// start begins the stream; next reads success and error off it.
func (l lima) start() (next func() (bool, string, error), cancel func()) {
	l.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	l.t.Cleanup(stop)
	stream, err := l.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/Driver/Start")
	if err != nil {
		l.t.Fatal(err)
	}
	if err := stream.SendMsg(&emptypb.Empty{}); err != nil {
		l.t.Fatal(err)
	}
	stream.CloseSend()
	return func() (bool, string, error) {
		var message wrapperspb.BoolValue
		if err := stream.RecvMsg(&message); err != nil {
			return false, "", err
		}
		return message.Value, second(message.ProtoReflect().GetUnknown()), nil
	}, stop
}

func second(fields []byte) string {
	if len(fields) == 0 {
		return ""
	}
	_, _, size := protowire.ConsumeTag(fields)
	text, _ := protowire.ConsumeString(fields[size:])
	return text
}

func (l lima) expect(next func() (bool, string, error), success bool, text string) {
	l.t.Helper()
	got, said, err := next()
	if err != nil || got != success || !strings.Contains(said, text) || (text == "") != (said == "") {
		l.t.Fatalf("%v %q %v, want %v %q", got, said, err, success, text)
	}
}

func (l lima) has(name string) bool {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(l.directory, name)); err == nil {
			return true
		}
	}
	return false
}

// end has the driver end as Lima has it, and waits for it.
func (l lima) end() {
	l.t.Helper()
	syscall.Kill(os.Getpid(), syscall.SIGTERM)
	if err := <-l.served; err != nil {
		l.t.Error(err)
	}
}

func TestAGuestLivesFromStartToStop(t *testing.T) {
	l := serve(t, "good")
	l.configure()
	for _, method := range []string{"Validate", "Create", "BootScripts", "AdditionalSetupForSSH"} {
		if err := l.call(method, &emptypb.Empty{}, &emptypb.Empty{}); err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
	var address wrapperspb.StringValue
	var forwards wrapperspb.BoolValue
	if l.call("SSHAddress", &emptypb.Empty{}, &address); address.Value != "127.0.0.1" {
		t.Errorf("address %q", address.Value)
	}
	if l.call("ForwardGuestAgent", &emptypb.Empty{}, &forwards); !forwards.Value {
		t.Error("it does not forward")
	}
	var info wrapperspb.BytesValue
	if l.call("Info", &emptypb.Empty{}, &info); !strings.Contains(string(info.Value), `"supportedImageFormats":["raw"]`) {
		t.Errorf("info %s", info.Value)
	}
	next, _ := l.start()
	l.expect(next, true, "")
	if !instance.Runs(l.directory) {
		t.Error("it is not marked as running")
	}
	second, _ := l.start()
	l.expect(second, false, "runs already")
	if err := l.call("Stop", &emptypb.Empty{}, &emptypb.Empty{}); err != nil {
		t.Error(err)
	}
	l.expect(next, true, "")
	if !l.has("stopped") || instance.Runs(l.directory) {
		t.Error("the guest was not stopped, or is marked as running")
	}
	if err := l.call("Stop", &emptypb.Empty{}, &emptypb.Empty{}); err != nil {
		t.Errorf("a second stop: %v", err)
	}
	next, _ = l.start()
	l.expect(next, true, "")
	l.end()
	if !l.has("abandoned") {
		t.Error("the guest outlived its driver")
	}
}

func TestWhatSbxRefusesDoesNotStart(t *testing.T) {
	l := serve(t, "bad")
	l.configure()
	for _, method := range []string{"Validate", "Create"} {
		if err := l.call(method, &emptypb.Empty{}, &emptypb.Empty{}); err == nil || !strings.Contains(err.Error(), "it is bad; be good") {
			t.Errorf("%s: %v", method, err)
		}
	}
	next, _ := l.start()
	l.expect(next, false, "Cannot run it: it is bad")
	if _, _, err := next(); err == nil || instance.Runs(l.directory) {
		t.Error("the stream goes on, or something runs")
	}
	l.end()
}

func TestHowAGuestEndsIsTold(t *testing.T) {
	for mode, want := range map[string]string{"leaving": "", "dying": "Cannot go on: it died"} {
		l := serve(t, mode)
		l.configure()
		next, _ := l.start()
		l.expect(next, true, "")
		if want != "" {
			l.expect(next, false, want)
		}
		l.expect(next, true, "")
		l.end()
	}
}

func TestAnSbxThatFailsStartsNothing(t *testing.T) {
	for mode, want := range map[string]string{"mute": "exit status 3", "babbling": "no event"} {
		l := serve(t, mode)
		l.configure()
		next, _ := l.start()
		l.expect(next, false, want)
		l.end()
	}
	l := serve(t, "good")
	l.configure()
	os.Remove(filepath.Join(l.directory, "sbx"))
	next, _ := l.start()
	l.expect(next, false, "exit status")
	given := `{"name":"given","config":{}}`
	var out wrapperspb.BytesValue
	if err := l.call("Configure", wrapperspb.Bytes([]byte(given)), &out); err != nil || !strings.Contains(string(out.Value), "mountType") {
		t.Errorf("without sbx Lima cannot even delete: %s, %v", out.Value, err)
	}
	if err := l.call("Validate", &emptypb.Empty{}, &emptypb.Empty{}); err == nil {
		t.Error("without sbx an instance is valid")
	}
	l.end()
}

func TestAGuestWhoseLimaIsGoneIsEnded(t *testing.T) {
	for _, mode := range []string{"good", "deaf"} {
		l := serve(t, mode)
		l.configure()
		next, cancel := l.start()
		l.expect(next, true, "")
		cancel()
		if err := <-l.served; err != nil {
			t.Error(err)
		}
		if instance.Runs(l.directory) || mode == "good" && !l.has("abandoned") {
			t.Errorf("%s: the guest lives", mode)
		}
	}
}

func TestADriverEndsWithItsInstance(t *testing.T) {
	l := serve(t, "good")
	l.configure()
	if err := l.call("Delete", &emptypb.Empty{}, &emptypb.Empty{}); err != nil {
		t.Error(err)
	}
	if err := <-l.served; err != nil {
		t.Error(err)
	}
}

func TestADriverThatLimaCannotFindEnds(t *testing.T) {
	l := serve(t, "good")
	l.configure()
	next, _ := l.start()
	l.expect(next, true, "")
	os.Remove(filepath.Join(l.directory, "sbx.drv.sock"))
	if err := <-l.served; err != nil {
		t.Error(err)
	}
	if !l.has("abandoned") {
		t.Error("its guest lives")
	}
}
