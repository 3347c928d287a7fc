// Package infile opens the files that decoders read. A file is a regular one, is not empty, and can be read
// until the context of its reader ends: a decoder that knows nothing of contexts stops then too. What goes
// wrong is an error of internal/fault that names the file.
package infile

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"syscall"

	"prep/internal/fault"
)

// File is an open file on its way through a decoder. It may be read from many goroutines.
type File struct {
	Path string
	Size int64 // bytes
	r    io.ReaderAt
	ctx  context.Context
}

// New takes size bytes of r for a file of that name.
func New(ctx context.Context, path string, r io.ReaderAt, size int64) *File {
	return &File{Path: path, Size: size, r: r, ctx: ctx}
}

// Open opens a file after making sure that it is a regular one: opening a FIFO would wait for a writer, and a
// device may never end. The caller closes it.
//
// Errors: Corrupt missing, unreadable, not_a_file, empty_file; Environment too many open files; that of a
// context which has ended.
func Open(ctx context.Context, path string) (*File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, openError(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fault.Corruptf("not_a_file", "%s is %s, not a regular file", path, kindOfFile(info.Mode()))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, openError(path, err)
	}
	if info, err = f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, fault.Corruptf("not_a_file", "%s changed while it was opened", path)
	}
	if info.Size() == 0 {
		f.Close()
		return nil, fault.Corruptf("empty_file", "%s: the file is empty (0 bytes)", path)
	}
	return New(ctx, path, f, info.Size()), nil
}

// Close closes what Open opened.
func (in *File) Close() error {
	if c, ok := in.r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// ReadAt is io.ReaderAt's, and fails once the context has ended.
func (in *File) ReadAt(p []byte, off int64) (int, error) {
	if err := in.ctx.Err(); err != nil {
		return 0, err
	}
	return in.r.ReadAt(p, off)
}

// Head returns up to n bytes from an offset on; fewer at the end of the file.
func (in *File) Head(off int64, n int) ([]byte, error) {
	b := make([]byte, max(0, min(int64(n), in.Size-off)))
	m, err := in.ReadAt(b, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, in.Error(err)
	}
	return b[:m], nil
}

// Err is the error of the reader's context, nil until it has ended.
func (in *File) Err() error { return in.ctx.Err() }

// Context is the reader's context.
func (in *File) Context() context.Context { return in.ctx }

// Settle makes any error after the end of the context the context's own.
func (in *File) Settle(err *error) {
	if *err != nil && in.Err() != nil {
		*err = in.Err()
	}
}

// Error words an error of the file system; that of a context which has ended stays what it is.
func (in *File) Error(err error) error {
	if ctxErr := in.ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	return fault.Corruptf("unreadable", "%s: %w", in.Path, err)
}

func kindOfFile(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a folder"
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "special"
}

func openError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.Corruptf("missing", "%s: no such file", path)
	case errors.Is(err, fs.ErrPermission):
		return fault.Corruptf("unreadable", "%s: permission denied; make the file readable", path)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return fault.Environmentf("%s: too many open files; raise the limit (ulimit -n): %w", path, err)
	}
	return fault.Corruptf("unreadable", "%s: %w", path, err)
}

// Recover turns a panic of a decoder into an error about the file: libraries index by what they
// read. Where it happened is kept as the cause.
func Recover(path string, err *error) {
	if p := recover(); p != nil {
		*err = fault.Corruptf("corrupt_audio", "%s: the decoder gave up (%v): %w", path, p, &PanicError{debug.Stack()})
	}
}

// PanicError keeps the stack for a debugger; its text stays out of the ledger.
type PanicError struct{ Stack []byte }

func (*PanicError) Error() string { return "panic in decoder" }
