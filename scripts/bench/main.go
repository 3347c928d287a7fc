// Command bench does prep's side of scripts/bench.py: it reads the name of one work a line from standard
// input, does it a number of times and answers with the least CPU time that one took, in nanoseconds, or with
// "error" and a message. The time is that of the whole process, garbage collection and page faults included.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"prep/bpe"
	"prep/internal/media"
	"prep/mel"
)

// atLeast is how long, in nanoseconds, a work is repeated between two readings of the clock.
const atLeast = 2_000_000

func main() {
	runtime.GOMAXPROCS(1)
	works, err := prepare(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	fmt.Println(mel.Variant())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		f := works[in.Text()]
		if f == nil {
			fmt.Printf("error no work %q\n", in.Text())
			continue
		}
		least, err := measure(f, 40)
		if err != nil {
			fmt.Printf("error %v\n", err)
			continue
		}
		fmt.Println(least)
	}
}

// work is done n times.
type work func(n int) error

// measure gives the least CPU time of one in nanoseconds, of a number of readings.
func measure(f work, readings int) (float64, error) {
	n, least := 1, math.Inf(1)
	for i := 0; i < readings; i++ {
		before := cpuTime()
		if err := f(n); err != nil {
			return 0, err
		}
		spent := float64(cpuTime() - before)
		if spent < atLeast { // not counted: the clock is too coarse for it
			n = max(n+1, int(1.5*float64(n)*atLeast/max(spent, 1000)))
			i--
			continue
		}
		least = min(least, spent/float64(n))
	}
	return least, nil
}

func cpuTime() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return t.Nano()
}

// prepare reads the inputs that scripts/bench.py wrote: a WAV file, and captions as a JSON list of strings.
func prepare(args []string) (map[string]work, error) {
	if len(args) != 2 {
		return nil, fmt.Errorf("want a WAV file and a JSON file of captions")
	}
	tools := &media.Tools{}
	decode := func() (*media.Sound, error) {
		return tools.DecodeSound(context.Background(), args[0], media.Segment{})
	}
	sound, err := decode()
	if err != nil {
		return nil, err
	}
	mono := sound.Channels()[0]
	resampled, err := mel.Resample(mono, sound.SourceRate)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(args[1])
	if err != nil {
		return nil, err
	}
	var captions []string
	if err := json.Unmarshal(text, &captions); err != nil {
		return nil, err
	}
	repeat := func(f func() error) work {
		return func(n int) error {
			for range n {
				if err := f(); err != nil {
					return err
				}
			}
			return nil
		}
	}
	var wave, clips []float32 // as ingest does, memory is used again
	return map[string]work{
		"resample": repeat(func() error {
			_, err := mel.Resample(mono, sound.SourceRate)
			return err
		}),
		"log-mel": repeat(func() error {
			mel.Fbank(resampled)
			return nil
		}),
		"decode": repeat(func() error {
			s, err := decode()
			if err == nil {
				s.Release()
			}
			return err
		}),
		"wav-to-mel": repeat(func() error {
			s, err := decode()
			if err != nil {
				return err
			}
			if wave, err = mel.ResampleInto(wave, s.Channels()[0], s.SourceRate); err != nil {
				return err
			}
			s.Release()
			clips = mel.ClipsInto(clips, [][]float32{wave}, 3, mel.MeanClip)
			return nil
		}),
		"captions": repeat(func() error {
			for _, c := range captions {
				bpe.Encode(c, bpe.Options{})
			}
			return nil
		}),
	}, nil
}
