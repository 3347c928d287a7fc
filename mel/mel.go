// Package mel turns sound into what ImageBind's audio tower takes: PCM to 16 kHz, 2 s clips, Kaldi
// log-mel filter banks of 128 bins, 204 frames, normalised. Each step is a pure function:
//
//	Resample    PCM at any rate to 16 kHz                  band-limited sinc (resample.go)
//	ClipLimits  where the clips begin and end              exact rational arithmetic (clips.go)
//	Fbank       16 kHz to raw log-mel [128][frames]        Kaldi's filter bank (fbank.go)
//	Clips       all of it, to [clips,1,128,204] normalised (clips.go)
//	Spectrogram power spectra of 64 ms, for filters        the same transform (fft.go)
//
// Decoding is internal/media's business, what is measured of the sound filters'. The arithmetic is float32
// in a fixed order, with every product rounded before it is added, so that results do not depend on the
// processor: the vector kernels compute eight or sixteen frames in lanes (vector_amd64.go), or four values of one
// frame (sse2_amd64.go), or 32 stretches of sound (resample_amd64.go), and give the same bits.
package mel

// The constants of ImageBind's data.py and of torchaudio.compliance.kaldi.fbank as it calls it.
const (
	SampleRate   = 16000 // Hz
	Bins         = 128   // mel filters, 20 to 8000 Hz
	Frames       = 204   // frames of a stored clip; 2 s give 198, the rest is padding
	ClipSeconds  = 2
	WindowLength = 400 // samples: 25 ms
	HopLength    = 160 // samples: 10 ms

	fftLength   = 512
	preEmphasis = 0.97
	lowHz       = 20.0
	// logFloor is float32's machine epsilon, torchaudio's floor under the log.
	logFloor = 1.1920928955078125e-07
	// Mean and standard deviation of AudioSet's log-mel, from ImageBind's data.py; its transform divides
	// by the deviation itself (not twice it, as AST does).
	normMean = -4.268
	normStd  = 9.138
)

// Variant names the kernels in use: "avx512" or "avx2" where the program was built with GOEXPERIMENT=simd and the
// processor has it, "sse2" on amd64 otherwise, "scalar" on other processors and in builds with the tag scalar. All give
// the same bits. Resampling takes AVX2 in all builds for amd64 where the processor has it.
func Variant() string {
	if vector != nil {
		return vector.name
	}
	return "scalar"
}

// vector is the best of the variants, nil where there is none.
var vector = func() *kernels {
	if len(variants) == 0 {
		return nil
	}
	return variants[0]
}()

// kernels are the vector twins of the plain loops: frames, or stretches of sound, in lanes. They take what
// fits them and leave the rest to the plain ones.
type kernels struct {
	name string
	// blockSums is the twin of plainBlockSums: it computes the sums 0..done-1.
	blockSums func(wave, sums []float32) (done int)
	// fbank is the twin of plainFbank: it computes the frames 0..done-1.
	fbank func(wave, offset []float32, out bank, frames int) (done int)
	// spectrogram is the twin of the function of that name.
	spectrogram func(wave []float32, window *[SpectrumLength]float32, hop int, power []float32, stride, frames int) (done int)
	// resample is the twin of polyphase.plain: it computes the samples 0..done-1 of out, whole periods.
	resample func(p *polyphase, x, out []float32) (done int)
}
