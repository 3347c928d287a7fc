//go:build !scalar

package mp3

// Fast says that the decoder is as fast here as libmpg123 is.
const Fast = true

// The kernels of synthesis_amd64.s, four values at a time.

// matrix4 is plainMatrix of four times: v is the vector of the first, those of the others lie before it. scratch has
// 256 values.
//
//go:noescape
func matrix4(subband, v, cosines, scratch *float32)

func matrix(subband *[32][times]float32, v *vectors) {
	var scratch [256]float32
	for t := 0; t < times; t += 4 {
		matrix4(&subband[0][t], &v[(spare+17-t)*64], &cosines[0], &scratch[0])
	}
}

// window4 is plainWindow. v is the vector of the first time.
//
//go:noescape
func window4(out, v, d *float32)

func window(v *vectors, out *[lines]float32) {
	window4(&out[0], &v[(spare+17)*64], &synthesisWindow[0][0])
}
