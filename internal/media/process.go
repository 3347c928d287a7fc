package media

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"prep/internal/fault"
)

const (
	stderrLimit = 64 << 10

	// DefaultTimeLimit ends an ffmpeg process that takes longer.
	DefaultTimeLimit = 5 * time.Minute

	// DefaultMaxProcessBytes bounds the memory of one ffmpeg process: what decodes pictures of 8K and not a
	// picture that claims to be larger than any.
	DefaultMaxProcessBytes = 4 << 30
	// maxAllocation bounds one piece of it, which is what a damaged header asks for too much of.
	maxAllocation = 1 << 30
)

// timeLimit is how long one process may take.
func (t *Tools) timeLimit() time.Duration {
	if t.TimeLimit > 0 {
		return t.TimeLimit
	}
	return DefaultTimeLimit
}

// processBytes is the memory that one process may take.
func (t *Tools) processBytes() int64 {
	if t.MaxProcessBytes > 0 {
		return t.MaxProcessBytes
	}
	return DefaultMaxProcessBytes
}

// tail keeps the first and the last part of what a process says, so that a decoder that complains about
// every packet does not fill the memory.
type tail struct {
	mu         sync.Mutex
	head, last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	if room := stderrLimit - len(t.head); room > 0 {
		k := min(room, len(p))
		t.head, p = append(t.head, p[:k]...), p[k:]
	}
	t.last = append(t.last, p...)
	if over := len(t.last) - stderrLimit; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	return n, nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.head) + string(t.last)
}

// process is one run of ffmpeg or ffprobe.
type process struct {
	program string
	args    []string
	limit   time.Duration
	memory  int64 // bytes of address space, 0 for no bound; kept where the system can
	outputs int   // how many pipes it writes to: standard output, then descriptors 3, 4, ...
	// inputs are written to it, each through a pipe on the descriptors after those of the outputs. A process that
	// reads one only in part is none the worse.
	inputs [][]byte
}

// errTimeLimit is the cause when a process ran past its limit.
var errTimeLimit = errors.New("time limit")

// run starts the process and calls consume for each of its outputs, each in its own goroutine. When consume
// returns an error the process is ended and that error is returned. Whatever happens, the process and all
// goroutines have ended on return. The text is what the process said.
//
// The process has a group of its own, so that Ctrl-C at the terminal reaches prep alone, which then ends it:
// ffmpeg would stop politely and its half output be taken for the file's fault. On Linux it dies with prep,
// however prep dies.
func (p process) run(ctx context.Context, consume func(output int, r io.Reader) error) (text string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.limit, errTimeLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.program, p.args...)
	cmd.WaitDelay = 2 * time.Second
	cmd.Env = environment()
	ownGroup(cmd)
	var stderr tail
	cmd.Stderr = &stderr

	readers := make([]*os.File, 0, p.outputs)
	writers := make([]*os.File, 0, p.outputs)
	closeAll := func(files []*os.File) {
		for _, f := range files {
			f.Close()
		}
	}
	for range p.outputs {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(readers)
			closeAll(writers)
			return "", fault.Environmentf("no pipe for %s: %w", filepath.Base(p.program), err)
		}
		readers, writers = append(readers, r), append(writers, w)
	}
	defer closeAll(readers)
	if p.outputs > 0 {
		cmd.Stdout, cmd.ExtraFiles = writers[0], writers[1:]
	}
	feeds := make([]*os.File, 0, len(p.inputs))
	defer func() { closeAll(feeds) }()
	for range p.inputs {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(writers)
			return "", fault.Environmentf("no pipe for %s: %w", filepath.Base(p.program), err)
		}
		writers, feeds = append(writers, r), append(feeds, w) // ours to close once the process has it
		cmd.ExtraFiles = append(cmd.ExtraFiles, r)
	}
	if err := cmd.Start(); err != nil {
		closeAll(writers)
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fault.Environmentf("cannot start %s: %w", p.program, err)
	}
	closeAll(writers)
	if p.memory > 0 {
		limitMemory(cmd.Process.Pid, p.memory)
	}
	// A killed process closes its ends of the pipes and so ends the readers. Should a wrapper script have left
	// a child behind that holds them open, the deadline does it.
	defer context.AfterFunc(ctx, func() {
		for _, r := range readers {
			_ = r.SetReadDeadline(time.Now().Add(cmd.WaitDelay))
		}
		for _, w := range feeds {
			_ = w.SetWriteDeadline(time.Now().Add(cmd.WaitDelay))
		}
	})()

	failed := make([]error, p.outputs)
	var wg sync.WaitGroup
	for i, w := range feeds {
		wg.Go(func() {
			_, _ = w.Write(p.inputs[i]) // what it did not get, it complains about
			w.Close()
		})
	}
	for i, r := range readers {
		wg.Go(func() {
			if failed[i] = consume(i, r); failed[i] != nil {
				cancel()
			}
			_, _ = io.Copy(io.Discard, r) // until the process ends, so that it is never blocked on this pipe
		})
	}
	wg.Wait()
	err = cmd.Wait()
	for _, f := range failed {
		if f != nil {
			return stderr.String(), f
		}
	}
	if ctx.Err() == nil && endedFromOutside(err, stderr.String()) {
		// Whoever ends a job sends its signal to every process of it: ours may not have been noticed yet.
		select {
		case <-ctx.Done():
		case <-time.After(cmd.WaitDelay):
			err = errEnded
		}
	}
	if ctx.Err() != nil {
		return stderr.String(), context.Cause(ctx)
	}
	return stderr.String(), err
}

// errEnded is the cause when somebody else ended the process.
var errEnded = errors.New("ended from outside")

// endedFromOutside reports whether a signal ended the process that it cannot have caused itself.
func endedFromOutside(err error, text string) bool {
	return err != nil && (killed(err) || strings.Contains(text, "Exiting normally, received signal"))
}

// environment is ours without what would make ffmpeg write a report to disk, in English.
func environment() []string {
	env := []string{}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "FFREPORT=") {
			env = append(env, v)
		}
	}
	return append(env, "AV_LOG_FORCE_NOCOLOR=1", "LC_ALL=C")
}

// sayWhy turns the end of a process into an error about the file, which is of the given format, if that is known.
func sayWhy(path, format, program, text string, err error) error {
	var known *fault.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, errTimeLimit):
		return fault.Corruptf("decode_timeout", "%s: %s did not finish in time (ingest.ffmpeg_seconds) and was ended", path, program)
	case errors.Is(err, errEnded):
		return fault.Corruptf("decoder_killed", "%s: something ended %s while it decoded the file, most likely for want of memory; run again with fewer workers", path, program)
	case strings.Contains(text, "Cannot allocate memory"), strings.Contains(text, "exceeds specified max pixel count"), strings.Contains(text, "picture size is invalid"), strings.Contains(text, "Picture size"):
		return fault.Unsupportedf("too_large", "%s: decoding it takes more memory or larger pictures than %s is allowed (ingest.ffmpeg_mb): %s", path, program, firstProblem(text))
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case strings.Contains(text, "matches no streams"):
		// The caller names the track that it asked for.
		return errNoStream
	}
	line := firstProblem(text)
	if strings.Contains(text, "ermission denied") {
		return fault.Corruptf("unreadable", "%s: permission denied", path)
	}
	what := "it"
	if format != "" {
		what = "this " + format
	}
	return fault.Corruptf("corrupt_media", "%s: %s cannot decode %s: %s", path, program, what, line)
}

// errNoStream says that the file has no track of the wanted kind.
var errNoStream = errors.New("no such track")

// problemLine matches what -loglevel level+info says at the levels that matter. A context in brackets with
// an address may stand before the level.
var problemLine = regexp.MustCompile(`(?m)^(?:\[([^\]\n]*?)(?: @ [^\]\n]*)?\] )?\[(error|fatal|panic)\] (.*)$`)

// firstProblem is the first thing that the process complained about.
func firstProblem(text string) string {
	if m := problemLine.FindStringSubmatch(text); m != nil {
		line := strings.TrimSpace(m[3])
		if m[1] != "" {
			line = m[1] + ": " + line
		}
		return cleanLine(line)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if line := cleanLine(lines[len(lines)-1]); line != "" {
		return line
	}
	return "it says nothing"
}

// cleanLine keeps a line printable, short and without addresses in memory, which change from run to run.
func cleanLine(s string) string {
	s = strings.ToValidUTF8(addresses.ReplaceAllString(s, ""), "?")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "..."
	}
	return strings.TrimSpace(s)
}

var addresses = regexp.MustCompile(`( @ )?0x[0-9a-f]{6,}`)
