package shards

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"prep/internal/fault"
)

// BlockBytes is the size of the blocks whose checksums locate damage within a file.
const BlockBytes = 1 << 20

// File describes one file of a data set.
type File struct {
	// Name is relative to the data set's folder, with slashes.
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	// SHA256 is over the whole file, 64 lower-case hex digits.
	SHA256 string `json:"sha256"`
	// Blocks has the CRC-32C (Castagnoli) of each BlockBytes of the file, the last one shorter, 8
	// lower-case hex digits each. They locate damage; the SHA-256 is what finds it.
	Blocks []string `json:"crc32c_1mib"`
}

// tempPrefix begins the name of every file that is not yet in place. Whoever finds one that nobody is
// writing may delete it.
const tempPrefix = ".tmp-"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// HashingWriter describes what passes through it to another writer.
type HashingWriter struct {
	w      io.Writer
	sum    hash.Hash
	crc    uint32
	n      int64
	blocks []string
	err    error // the first error of w, which callers in between may have turned into text
}

// NewHashingWriter returns a writer to w.
func NewHashingWriter(w io.Writer) *HashingWriter { return &HashingWriter{w: w, sum: sha256.New()} }

// hashedBytes is how much is written and hashed at a time, so that it is in the processor's cache for all of it.
const hashedBytes = 1 << 18

// Write writes p to the writer beneath and accounts for what it took.
func (h *HashingWriter) Write(p []byte) (int, error) {
	done := 0
	for h.err == nil && done < len(p) {
		piece := p[done:min(done+hashedBytes, len(p))]
		n, err := h.w.Write(piece)
		if err == nil && n < len(piece) {
			err = io.ErrShortWrite
		}
		h.err = err
		h.add(piece[:n])
		done += n
	}
	return done, h.err
}

func (h *HashingWriter) add(p []byte) {
	h.sum.Write(p)
	for len(p) > 0 {
		k := min(int64(len(p)), BlockBytes-h.n%BlockBytes)
		h.crc = crc32.Update(h.crc, castagnoli, p[:k])
		h.n += k
		p = p[k:]
		if h.n%BlockBytes == 0 {
			h.blocks = append(h.blocks, hex32(h.crc))
			h.crc = 0
		}
	}
}

// File describes what was written so far; its name is left to the caller.
func (h *HashingWriter) File() File {
	f := File{Bytes: h.n, SHA256: hex.EncodeToString(h.sum.Sum(nil)), Blocks: append([]string{}, h.blocks...)}
	if h.n%BlockBytes != 0 {
		f.Blocks = append(f.Blocks, hex32(h.crc))
	}
	return f
}

func hex32(v uint32) string { return fmt.Sprintf("%08x", v) }

// DescribeFile reads dir/name and describes it.
func DescribeFile(dir, name string) (File, error) {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	h := NewHashingWriter(io.Discard)
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, BlockBytes)); err != nil {
		return File{}, err
	}
	d := h.File()
	d.Name = name
	return d, nil
}

// CommitFile puts a file in place whole or not at all: fill writes it under a temporary name in dir, it
// is flushed to disk, renamed to dir/name(its description), and the folder that holds it is flushed too.
// A file of that name is replaced. name may return a path below dir whose folder is there. The
// description that is returned bears the name.
//
// An error of fill is returned as it is. Errors of the machine (no space, a read-only file system, no
// permission) come as fault.Environment and hold the system's error for errors.Is. Nothing is left
// behind unless the process dies, and then only a file whose name begins with ".tmp-".
func CommitFile(dir string, fill func(io.Writer) error, name func(File) string) (File, error) {
	var done File
	err := writeAside(dir, fill, func(temp string, f File) error {
		f.Name = name(f)
		if !localName(f.Name) {
			return fmt.Errorf("file name %q leaves its folder", f.Name)
		}
		final := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.Rename(temp, final); err != nil {
			return err
		}
		done = f
		return syncFolder(filepath.Dir(final))
	})
	return done, err
}

// LinkFile puts data in place as dir/name unless there is such a file already: of several callers, also
// on several machines that share the folder, exactly one succeeds and the others get an error that
// errors.Is(err, fs.ErrExist). A rename would not do: the last one would win, and replace what others
// have seen. Errors are otherwise as CommitFile's.
func LinkFile(dir, name string, data []byte) error {
	if !localName(name) {
		return fmt.Errorf("file name %q leaves its folder", name)
	}
	return writeAside(dir, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}, func(temp string, _ File) error {
		final := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.Link(temp, final); err != nil {
			if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPERM) {
				return fault.Environmentf("%s: this file system has no hard links, by which tasks are committed; choose another output folder: %w", dir, err)
			}
			return err
		}
		return syncFolder(filepath.Dir(final))
	})
}

// writeAside fills a temporary file, flushes it and hands it to place. The temporary name is gone after.
func writeAside(dir string, fill func(io.Writer) error, place func(temp string, f File) error) (err error) {
	defer func() { err = explainWrite(dir, err) }()
	// Not os.CreateTemp, whose 0600 would shut a team out: the user's umask decides.
	f, err := os.OpenFile(filepath.Join(dir, tempPrefix+rand.Text()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	closed := false
	defer func() {
		if !closed {
			f.Close()
		}
		os.Remove(f.Name()) // there no longer after a rename
	}()
	h := NewHashingWriter(f)
	w := bufio.NewWriterSize(h, BlockBytes)
	if err = fill(w); err == nil {
		err = w.Flush()
	}
	if h.err != nil {
		// what fill made of it may have lost the cause on the way through a library
		return h.err
	}
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	closed = true
	if err := f.Close(); err != nil { // network file systems report a full disk here
		return err
	}
	return place(f.Name(), h.File())
}

// explainWrite turns the machine's refusals into sentences that say what to do.
func explainWrite(dir string, err error) error {
	var known *fault.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.Environmentf("%s: no space left; free some and run the same command again, it goes on where it was (%w)", dir, err)
	case errors.Is(err, syscall.EROFS):
		return fault.Environmentf("%s: the file system is read-only; choose another output folder: %w", dir, err)
	case errors.Is(err, syscall.EACCES):
		return fault.Environmentf("%s: no permission to write here: %w", dir, err)
	}
	return err
}

// syncFolder makes a rename or link in dir survive a power cut.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	// Folders cannot be flushed on some systems (Windows, some network file systems), which say so.
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, os.ErrPermission) {
		return err
	}
	return nil
}

// localName reports whether a slash-separated name stays below its folder.
func localName(name string) bool {
	return name != "" && name != "." && filepath.IsLocal(filepath.FromSlash(name)) && filepath.ToSlash(filepath.Clean(filepath.FromSlash(name))) == name
}
