package nettest

import "math/rand/v2"

// Mutations yields damaged copies of a corpus: flipped bytes, cuts, doubled parts. The seed is fixed, so
// a failure can be repeated.
func Mutations(corpus [][]byte, count int, visit func([]byte)) {
	random := rand.New(rand.NewPCG(1, 2))
	for range count {
		sample := append([]byte(nil), corpus[random.IntN(len(corpus))]...)
		for range 1 + random.IntN(6) {
			if len(sample) == 0 {
				break
			}
			switch random.IntN(4) {
			case 0, 1:
				sample[random.IntN(len(sample))] = byte(random.IntN(256))
			case 2:
				sample = sample[:random.IntN(len(sample)+1)]
			case 3:
				at := random.IntN(len(sample))
				sample = append(sample[:at:at], append(append([]byte(nil), sample[at:]...), sample[at:]...)...)
			}
		}
		visit(sample)
	}
}
