package picture

import (
	"runtime"
	"strings"

	"prep/internal/media/picture/jpeg"
	"prep/internal/media/sharedlib"
)

// EnvTurboJPEG is the environment variable that names the libturbojpeg to open in place of the system's:
// a path, or "none" to act as if this machine had none.
const EnvTurboJPEG = "PREP_TURBOJPEG"

// TurboJPEG is libjpeg-turbo through its TurboJPEG interface, opened at run time: no header, no compiler
// and no cgo are needed to build, and a machine without it loses nothing but speed and the equality with
// Pillow's pixels. It is safe for concurrent use.
type TurboJPEG struct {
	path string

	initDecompress func() uintptr
	decompress     func(handle uintptr, jpeg *byte, size uintptr, dst *byte, width, pitch, height, format, flags int32) int32
	decompressYUV  func(handle uintptr, jpeg *byte, size uintptr, planes **byte, width int32, strides *int32, height, flags int32) int32
	errorText      func(handle uintptr) string
	errorCode      func(handle uintptr) int32
	destroy        func(handle uintptr) int32
}

// OpenTurboJPEG looks for the library; nil when this machine has none that is whole.
func OpenTurboJPEG() *TurboJPEG {
	t := &TurboJPEG{}
	var ok bool
	t.path, ok = sharedlib.Library{
		Env:    EnvTurboJPEG,
		Linux:  []string{"libturbojpeg.so.0", "libturbojpeg.so"},
		Darwin: []sharedlib.DarwinFile{{Name: "libturbojpeg.0.dylib", Package: "jpeg-turbo"}},
	}.Open([]sharedlib.Function{
		{Name: "tjInitDecompress", Into: &t.initDecompress},
		{Name: "tjDecompress2", Into: &t.decompress},
		{Name: "tjDecompressToYUVPlanes", Into: &t.decompressYUV},
		{Name: "tjGetErrorStr2", Into: &t.errorText},
		{Name: "tjGetErrorCode", Into: &t.errorCode},
		{Name: "tjDestroy", Into: &t.destroy},
	})
	if !ok {
		return nil
	}
	return t
}

// Path is the library as it was found: a name in the loader's search path, or a path.
func (t *TurboJPEG) Path() string { return t.path }

// String names the library for people.
func (t *TurboJPEG) String() string { return "libjpeg-turbo (" + t.path + ")" }

// Of turbojpeg.h, unchanged since version 1.2 of the interface.
const (
	tjRGB  = 0  // TJPF_RGB
	tjCMYK = 11 // TJPF_CMYK

	tjAccurateDCT = 4096  // TJFLAG_ACCURATEDCT: the "islow" integer DCT, as Pillow
	tjLimitScans  = 32768 // TJFLAG_LIMITSCANS, since 2.1: an error at 500 scans

	tjFatal = 1 // TJERR_FATAL; 0 is a warning
)

// decode decompresses to dst, which must hold width x height pixels of the header, three bytes each for
// tjRGB, four for tjCMYK. Fancy upsampling is the library's default. A warning comes with whole pixels; an
// error does not.
func (t *TurboJPEG) decode(jpeg, dst []byte, width, height int, format int32) (warning, failure string) {
	handle := t.initDecompress()
	if handle == 0 {
		return "", "the library could not start (out of memory?)"
	}
	defer t.destroy(handle)
	// The library keeps the text of a warning for each thread, and between two calls the scheduler may move us to
	// another: one picture's warning would be told of the next.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if t.decompress(handle, &jpeg[0], uintptr(len(jpeg)), &dst[0], int32(width), 0, int32(height), format, tjAccurateDCT|tjLimitScans) == 0 {
		return "", ""
	}
	text := t.errorText(handle)
	_, after, found := strings.Cut(text, "(): ") // "tjDecompress2(): ..." of errors that are the interface's own
	if found {
		text = after
	}
	if t.errorCode(handle) == tjFatal {
		return "", text
	}
	return text, ""
}

// planes decompresses to the planes of Y, Cb and Cr, which must have the size that the header's sampling gives
// them; false when anything was wrong, also what the library only warns of.
func (t *TurboJPEG) planes(data []byte, p [3]jpeg.Plane, width, height int) bool {
	handle := t.initDecompress()
	if handle == 0 {
		return false
	}
	defer t.destroy(handle)
	var pin runtime.Pinner // the library is handed an array of pointers
	defer pin.Unpin()
	var at [3]*byte
	var strides [3]int32
	for i := range p {
		at[i], strides[i] = &p[i].Pix[0], int32(p[i].Stride)
		pin.Pin(at[i])
	}
	return t.decompressYUV(handle, &data[0], uintptr(len(data)), &at[0], int32(width), &strides[0], int32(height), tjAccurateDCT|tjLimitScans) == 0
}
