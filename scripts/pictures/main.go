// Command pictures says what prep makes of picture files, for scripts/compare_pictures.py, which holds it
// against Pillow, and for scripts/bench_pictures.py, which holds its time against other libraries':
//
//	ls *.jpg | go run ./scripts/pictures [-decoder go|turbo] [-bench N] [-scaled] ...
//
// For every path on standard input it writes a line of JSON: the size, the SHA-256 of the decoded RGB bytes
// and of the planes after resizing to 224, or the error. With -bench it writes the least CPU time of N runs
// from the file's bytes to the planes, and of decoding alone, in milliseconds.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"syscall"
	"time"

	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/media/picture"
	"prep/internal/vision"
)

type result struct {
	Path        string  `json:"path"`
	Format      string  `json:"format,omitempty"`
	Decoder     string  `json:"decoder,omitempty"`
	Kernels     string  `json:"kernels,omitempty"`
	Width       int     `json:"width,omitempty"`
	Height      int     `json:"height,omitempty"`
	Orientation int     `json:"orientation,omitempty"`
	Pixels      string  `json:"pixels,omitempty"`
	Crop        string  `json:"crop,omitempty"`
	Reason      string  `json:"reason,omitempty"`
	Error       string  `json:"error,omitempty"`
	WholeMS     float64 `json:"whole_ms,omitempty"`
	DecodeMS    float64 `json:"decode_ms,omitempty"`
}

func main() {
	var o picture.Options
	flag.StringVar(&o.Decoder, "decoder", "go", "of JPEG files: go or turbo")
	flag.StringVar(&o.Alpha, "alpha", "drop", "white, black or drop")
	flag.StringVar(&o.Depth16, "depth16", "clip", "scale or clip")
	flag.BoolVar(&o.ApplyOrientation, "orient", false, "turn as the file says")
	flag.BoolVar(&o.AllowTruncated, "allow-truncated", false, "keep damaged JPEG files")
	scaled := flag.Bool("scaled", false, "decode large JPEG files at a part of their size")
	runs := flag.Int("bench", 0, "measure `N` runs of each file")
	dump := flag.String("dump", "", "write the decoded RGB bytes of the last file to `FILE`")
	flag.Parse()
	if *scaled {
		o.ScaledFor = 224
	}
	tools := media.FindTools(context.Background())
	out := json.NewEncoder(os.Stdout)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		r := result{Path: in.Text()}
		if err := run(&r, tools, o, *runs, *dump); err != nil {
			r.Reason, r.Error = fault.ReasonOf(err), err.Error()
		}
		if err := out.Encode(r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func run(r *result, tools *media.Tools, o picture.Options, runs int, dump string) error {
	data, err := os.ReadFile(r.Path)
	if err != nil {
		return err
	}
	p, info, err := tools.DecodePicture(context.Background(), data, o)
	r.Format, r.Decoder, r.Kernels = info.Format, info.Decoder, vision.Variant()
	if err != nil {
		return err
	}
	r.Width, r.Height, r.Orientation = info.Width, info.Height, info.Orientation
	r.Pixels = digest(p.Pix)
	if dump != "" {
		if err := os.WriteFile(dump, p.Pix, 0o644); err != nil {
			return err
		}
	}
	chw, _, err := tools.DecodeCrop(context.Background(), data, o, 224)
	if err != nil {
		return err
	}
	r.Crop = digest(chw)
	if runs == 0 {
		return nil
	}
	least, leastDecode := time.Hour, time.Hour
	for range runs {
		begin := cpuTime()
		if _, _, err := tools.DecodeCrop(context.Background(), data, o, 224); err != nil {
			return err
		}
		least = min(least, cpuTime()-begin)
		begin = cpuTime()
		if _, _, err := tools.DecodePicture(context.Background(), data, o); err != nil {
			return err
		}
		leastDecode = min(leastDecode, cpuTime()-begin)
	}
	r.WholeMS, r.DecodeMS = least.Seconds()*1e3, leastDecode.Seconds()*1e3
	return nil
}

func digest(b []uint8) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// cpuTime is what this process has used, all threads together: the collector's share counts.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
