// Package stereo moves samples between two planes and the pairs that files and decoders have, by SSE2 in every build
// for amd64.
package stereo

// Separate takes the channels of pairs apart: as many as left has. right and pairs may be longer.
func Separate(left, right, pairs []float32) {
	n := separate(left, right, pairs)
	plainSeparate(left[n:], right[n:], pairs[2*n:])
}

// plainSeparate is Separate without help from the processor.
func plainSeparate(left, right, pairs []float32) {
	right, pairs = right[:len(left)], pairs[:2*len(left)]
	for i := range left {
		left[i], right[i] = pairs[2*i], pairs[2*i+1]
	}
}

// Interleave makes pairs of two channels: as many as left has. pairs and right may be longer.
func Interleave(pairs, left, right []float32) {
	n := interleave(pairs, left, right)
	plainInterleave(pairs[2*n:], left[n:], right[n:])
}

// plainInterleave is Interleave without help from the processor.
func plainInterleave(pairs, left, right []float32) {
	right, pairs = right[:len(left)], pairs[:2*len(left)]
	for i, v := range left {
		pairs[2*i], pairs[2*i+1] = v, right[i]
	}
}
