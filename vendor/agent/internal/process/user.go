package process

import (
	"errors"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"sbx.dev/agent/internal/session"
)

// account is whom a command runs as. The zero value is root.
type account struct {
	credential *syscall.Credential // nil for root with root's groups
	name       string              // empty for a number that is nobody's
	home       string
}

// resolveUser reads NAME, UID, and either with :GROUP, as container tools do: a number need not be
// anybody's, and then belongs to root's group; a group that is named is the only one.
func resolveUser(text string) (account, error) {
	who, group, named := strings.Cut(text, ":")
	found := account{credential: &syscall.Credential{}, home: "/"}
	known, err := lookUpUser(who)
	switch {
	case err == nil:
		found.name, found.home = known.Username, known.HomeDir
		uid, uidErr := number(known.Uid)
		gid, gidErr := number(known.Gid)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return account{}, noUser(who)
		}
		found.credential.Uid, found.credential.Gid = uid, gid
		if !named {
			found.credential.Groups = groupsOf(known)
		}
	default:
		uid, err := number(who)
		if err != nil {
			return account{}, noUser(who)
		}
		found.credential.Uid = uid
	}
	if named {
		if found.credential.Gid, err = lookUpGroup(group); err != nil {
			return account{}, &session.Failure{Code: "no-user", Message: "no group " + quote(group) + " in the guest"}
		}
	}
	return found, nil
}

// Owner is whom a file belongs to that is made for the user, given as resolveUser reads it.
func Owner(text string) (uid, gid int, err error) {
	found, err := resolveUser(text)
	if err != nil {
		return 0, 0, err
	}
	return int(found.credential.Uid), int(found.credential.Gid), nil
}

func lookUpUser(who string) (*user.User, error) {
	if known, err := user.Lookup(who); err == nil {
		return known, nil
	}
	if _, err := number(who); err != nil {
		return nil, err
	}
	return user.LookupId(who)
}

func lookUpGroup(group string) (uint32, error) {
	if known, err := user.LookupGroup(group); err == nil {
		return number(known.Gid)
	}
	return number(group)
}

func groupsOf(known *user.User) []uint32 {
	var groups []uint32
	ids, _ := known.GroupIds() // without /etc/group there are none
	for _, id := range ids {
		if gid, err := number(id); err == nil {
			groups = append(groups, gid)
		}
	}
	return groups
}

// number is a user's or group's; the last one means "no change" to the kernel.
func number(text string) (uint32, error) {
	value, err := strconv.ParseUint(text, 10, 32)
	if err == nil && value == 1<<32-1 {
		err = strconv.ErrRange
	}
	return uint32(value), err
}

func noUser(who string) error {
	return &session.Failure{Code: "no-user", Message: "no user " + quote(who) + " in the guest"}
}
