//go:build !amd64 || scalar

package mp3

// Fast says that the decoder is as fast here as libmpg123 is.
const Fast = false

func matrix(subband *[32][times]float32, v *vectors) { plainMatrix(subband, v) }

func window(v *vectors, out *[lines]float32) { plainWindow(v, out) }
