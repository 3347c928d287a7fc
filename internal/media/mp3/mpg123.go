package mp3

import (
	"errors"

	"prep/internal/media/sharedlib"
)

// EnvMPG123 is the environment variable that names the libmpg123 to open in place of the system's: a path, or
// "none" to act as if this machine had none.
const EnvMPG123 = "PREP_MPG123"

// MPG123 is libmpg123, which decodes layer III faster than [Decoder] and to the same samples but for 2e-6. It gets
// whole frames that [Decoder.Follow] has found sound, and never a file: finding frames, tags and cutting off what the
// encoder added stay ours. It is safe for concurrent use.
type MPG123 struct {
	path string

	create   func(decoder *byte, code *int32) uintptr
	param    func(handle uintptr, kind int32, value int, f float64) int32
	openFeed func(handle uintptr) int32
	decode   func(handle uintptr, in *byte, size uintptr, out *float32, room uintptr, done *uintptr) int32
	remove   func(handle uintptr)
}

// Of mpg123.h, unchanged since API version 45 (1.26).
const (
	mpg123Flags = 1 // MPG123_FLAGS of mpg123_param: sets all of them

	// Floats, frames as they come, and what a file would have more is left alone.
	mpg123OurFlags = 0x20 | // MPG123_QUIET
		0x80 | // MPG123_NO_RESYNC
		0x400 | // MPG123_FORCE_FLOAT
		0x1000 | // MPG123_IGNORE_STREAMLENGTH
		0x2000 | // MPG123_SKIP_ID3V2
		0x4000 | // MPG123_IGNORE_INFOFRAME
		0x400000 // MPG123_NO_READAHEAD: a frame is decoded when it is there, not when the next one is

	mpg123OK        = 0
	mpg123NeedMore  = -10
	mpg123NewFormat = -11
)

// mpg123Decoder is asked for first: of x86's it is the one that every such processor has, so that bits do not hang
// on the processor. Elsewhere the library knows no such name, and has one decoder.
var mpg123Decoder = append([]byte("x86-64"), 0)

// OpenMPG123 looks for the library; nil when this machine has none that is whole.
func OpenMPG123() *MPG123 {
	m := &MPG123{}
	var initialise func() int32 // does nothing since 1.27
	var ok bool
	m.path, ok = sharedlib.Library{
		Env:    EnvMPG123,
		Linux:  []string{"libmpg123.so.0"},
		Darwin: []sharedlib.DarwinFile{{Name: "libmpg123.0.dylib", Package: "mpg123"}},
	}.Open([]sharedlib.Function{
		{Name: "mpg123_init", Into: &initialise},
		{Name: "mpg123_new", Into: &m.create},
		{Name: "mpg123_param", Into: &m.param},
		{Name: "mpg123_open_feed", Into: &m.openFeed},
		{Name: "mpg123_decode", Into: &m.decode},
		{Name: "mpg123_delete", Into: &m.remove},
	})
	if !ok || initialise() != mpg123OK {
		return nil
	}
	return m
}

// Path is the library as it was found: a name in the loader's search path, or a path.
func (m *MPG123) Path() string { return m.path }

// ErrMPG123 says that the library did other than one frame of samples for each frame.
var ErrMPG123 = errors.New("libmpg123 did not decode all frames")

// MPG123Stream decodes the frames of one stream in order.
type MPG123Stream struct {
	lib    *MPG123
	handle uintptr
}

// Stream begins a stream, which must be closed.
func (m *MPG123) Stream() (*MPG123Stream, error) {
	var code int32
	handle := m.create(&mpg123Decoder[0], &code)
	if handle == 0 {
		handle = m.create(nil, &code)
	}
	if handle == 0 {
		return nil, ErrMPG123
	}
	s := &MPG123Stream{m, handle}
	if m.param(handle, mpg123Flags, mpg123OurFlags, 0) != mpg123OK || m.openFeed(handle) != mpg123OK {
		s.Close()
		return nil, ErrMPG123
	}
	return s, nil
}

// Close gives the stream's memory back.
func (s *MPG123Stream) Close() {
	if s.handle != 0 {
		s.lib.remove(s.handle)
		s.handle = 0
	}
}

// Decode decodes whole frames that lie one after the other, of one rate and one number of channels, to interleaved
// samples that fill out to the last. After an error the stream is of no use any more.
func (s *MPG123Stream) Decode(frames []byte, out []float32) error {
	if s.handle == 0 || len(frames) == 0 || len(out) == 0 {
		return ErrMPG123
	}
	in, size, got := &frames[0], uintptr(len(frames)), uintptr(0)
	for want := uintptr(4 * len(out)); got < want; {
		var done uintptr
		code := s.lib.decode(s.handle, in, size, &out[got/4], want-got, &done)
		in, size = nil, 0 // the library has taken all of it
		got += done
		switch {
		case code == mpg123NewFormat && got == 0: // before the first sample
		case code != mpg123OK && (code != mpg123NeedMore || got < want):
			return ErrMPG123
		case done == 0 && got < want:
			return ErrMPG123
		}
	}
	return nil
}
