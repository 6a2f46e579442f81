package gateway

import (
	"cmp"
	"slices"
)

// crowd chooses who makes room in a full table: those of the kind that has most entries, the one that
// waited longest first. One destination that never answers, or one port that sprays, then only ever
// displaces itself. `count` is how many entries there are of each kind.
func crowd[T any, K comparable](
	entries []T, kind func(T) K, older func(a, b T) int, count map[K]int, room int,
) []T {
	slices.SortFunc(entries, func(a, b T) int {
		return cmp.Or(cmp.Compare(count[kind(b)], count[kind(a)]), older(a, b))
	})
	return entries[:min(room, len(entries))]
}

// most is the largest of the counts.
func most[K comparable](count map[K]int) int {
	largest := 0
	for _, n := range count {
		largest = max(largest, n)
	}
	return largest
}
