package launch

import (
	"fmt"
	"os"
	"testing"

	"sbx.dev/netstack/internal/nettest"
)

func TestMain(m *testing.M) {
	nettest.Play(m, map[string]func(){
		"netstack": func() {
			run := map[string]func([]string) error{"launch": Run, "share": Share, "ask": Ask}[os.Args[1]]
			if err := run(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, "netstack:", err)
				os.Exit(1)
			}
		},
	})
}
