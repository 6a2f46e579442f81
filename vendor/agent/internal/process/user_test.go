package process

import (
	"slices"
	"testing"
)

func TestAUserIsAsContainerToolsReadIt(t *testing.T) {
	for text, want := range map[string]struct {
		uid, gid uint32
		name     string
	}{
		"root":            {0, 0, "root"},
		"0":               {0, 0, "root"},
		"4000001":         {4000001, 0, ""},
		"4000001:4000002": {4000001, 4000002, ""},
		"root:4000002":    {0, 4000002, "root"},
		"4000001:root":    {4000001, 0, ""},
	} {
		got, err := resolveUser(text)
		if err != nil || got.credential.Uid != want.uid || got.credential.Gid != want.gid || got.name != want.name {
			t.Errorf("%s is %+v of %+v, %v", text, got.credential, got, err)
		}
		if want.name == "" && (got.home != "/" || len(got.credential.Groups) > 0) {
			t.Errorf("%s, who is nobody, has home %s and groups %v", text, got.home, got.credential.Groups)
		}
	}
	for _, text := range []string{"no-such-user", "-1", "4294967295", "4294967296", "0:no-such-group", ":0"} {
		if got, err := resolveUser(text); err == nil {
			t.Errorf("%s is %+v", text, got)
		}
	}
}

func TestStringsAreCutAtNULs(t *testing.T) {
	if got := stringsOf([]byte("a\x00\x00\xff b\x00")); !slices.Equal(got, []string{"a", "", "\xff b"}) {
		t.Errorf("got %q", got)
	}
	if !ended(nil) || ended([]byte("a")) || !ended([]byte("a\x00")) {
		t.Error("ended is wrong")
	}
}
