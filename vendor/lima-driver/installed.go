package main

import (
	"errors"
	"os"
	"path/filepath"

	"sbx.dev/lima-driver/internal/guest"
)

// besides are where packages put sbx, seen from the driver: archives have both in one directory, others
// the driver in lib/lima and sbx in bin.
var besides = []string{"sbx", "../../bin/sbx"}

// installed finds the sbx of the package that the driver at `program` is of. The PATH is not asked: who
// starts Lima need not be who the guest is safe from.
func installed(program string) (guest.Command, error) {
	real, err := filepath.EvalSymlinks(program) // Homebrew links both into other directories
	if err != nil {
		return nil, err
	}
	for _, path := range []string{program, real} {
		for _, beside := range besides {
			sbx := filepath.Join(filepath.Dir(path), beside)
			if info, err := os.Stat(sbx); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return guest.Command{sbx}, nil
			}
		}
	}
	return nil, errors.New("there is no sbx beside " + program)
}
