package nettest

import (
	"os"
	"os/exec"
	"testing"
)

// playing names, in the environment of a test's binary, the program that it is to be.
const playing = "NETSTACK_TEST_PLAYS"

// Play runs the tests, or the program that this binary was started as.
func Play(m *testing.M, programs map[string]func()) {
	if program := programs[os.Getenv(playing)]; program != nil {
		program()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Itself is the test's own binary, to be started as one of those programs.
func Itself(program string, args ...string) *exec.Cmd {
	command := exec.Command(os.Args[0], args...)
	command.Env = append(os.Environ(), playing+"="+program)
	return command
}
