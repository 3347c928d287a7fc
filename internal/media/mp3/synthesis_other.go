//go:build !amd64 || scalar

package mp3

func matrix(subband *[32][times]float32, v *vectors) { plainMatrix(subband, v) }

func window(v *vectors, out *[lines]float32) { plainWindow(v, out) }

func interleave(out []float32, left, right *[lines]float32) { plainInterleave(out, left, right) }
