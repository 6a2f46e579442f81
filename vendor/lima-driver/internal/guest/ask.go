package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// Command is sbx: the program, and its first arguments.
type Command []string

// doing is the process of a command of sbx's for Lima's driver.
func (c Command) doing(ctx context.Context, what ...string) *exec.Cmd {
	words := append(append([]string(nil), c[1:]...), "lima-guest")
	return exec.CommandContext(ctx, c[0], append(words, what...)...)
}

// Configure asks sbx for an instance with what a guest of sbx needs.
func Configure(ctx context.Context, sbx Command, instance []byte) ([]byte, error) {
	event, err := ask(ctx, sbx, "configure", instance)
	if err == nil && event.Kind != "configured" {
		err = strange(event)
	}
	return event.Instance, err
}

// Check asks sbx whether it runs the instance; the error says why not.
func Check(ctx context.Context, sbx Command, instance []byte) error {
	event, err := ask(ctx, sbx, "check", instance)
	if err == nil && event.Kind != "accepted" {
		err = strange(event)
	}
	return err
}

// Forget tells sbx that the instance is about to be removed.
func Forget(ctx context.Context, sbx Command, instance []byte) error {
	_, err := ask(ctx, sbx, "forget", instance)
	return err
}

// strange is the failure of an answer that belongs to another question: driver and sbx are of two versions.
func strange(event Event) error {
	return fmt.Errorf("cannot go by sbx: it answered %q; stop the instance, whose driver is of another version", event.Kind)
}

func ask(ctx context.Context, sbx Command, what string, instance []byte) (Event, error) {
	command := sbx.doing(ctx, what)
	command.Stdin = bytes.NewReader(instance)
	command.Stderr = os.Stderr
	out, failure := command.Output()
	event, err := readEvents(bytes.NewReader(out)).next()
	switch {
	case err != nil:
		return event, errors.Join(fmt.Errorf("cannot ask %s; 'sbx lima driver' puts the driver of an sbx that was moved or replaced in place again", sbx[0]), failure, err)
	case event.Kind == "refused":
		return event, event.fault()
	}
	return event, failure
}
