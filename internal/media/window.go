package media

import (
	"errors"
	"io"
	"prep/internal/infile"
)

// fileWindow shows a file a stretch at a time to decoders that go through it from front to back. Its memory is
// bounded by the most that was asked for at once.
type fileWindow struct {
	in   *infile.File
	buf  []byte
	base int64 // offset of buf[0]
}

// readAhead is how much is read at once.
const readAhead = 256 << 10

// look returns the file from pos on: at least want bytes unless the file ends. They stay valid until the next
// call.
func (w *fileWindow) look(pos int64, want int) ([]byte, error) {
	end := w.base + int64(len(w.buf))
	if w.buf == nil || pos < w.base || pos+int64(want) > end && end < w.in.Size {
		n := min(int64(max(want, readAhead)), w.in.Size-pos)
		if n <= 0 {
			return nil, nil
		}
		if int64(cap(w.buf)) < n {
			w.buf = make([]byte, n)
		}
		w.buf = w.buf[:n]
		if k, err := w.in.ReadAt(w.buf, pos); err != nil && (!errors.Is(err, io.EOF) || int64(k) < n) {
			w.buf = nil
			return nil, w.in.Error(err)
		}
		w.base = pos
	}
	return w.buf[min(pos-w.base, int64(len(w.buf))):], nil
}
