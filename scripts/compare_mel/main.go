// Command compare_mel transforms sound for scripts/compare_mel.py, which holds the results against
// torchaudio.
//
// It reads sounds from standard input until it ends: a line "rate channels samples clips", then the
// channels one after the other as little-endian float32. For each it writes a line "samples clips" and the
// limits of the clips, then as little-endian float32 channel 0 at 16 kHz, the normalised log-mel with
// ImageBind's mean, and the same with each clip's own.
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"prep/mel"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "compare_mel:", err)
		os.Exit(1)
	}
}

func run() error {
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return out.Flush()
		}
		var rate, channels, samples, clips int
		if _, err := fmt.Sscan(line, &rate, &channels, &samples, &clips); err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		wave := make([][]float32, channels)
		for c := range wave {
			x := make([]float32, samples)
			if err := binary.Read(in, binary.LittleEndian, x); err != nil {
				return err
			}
			if wave[c], err = mel.Resample(x, rate); err != nil {
				return err
			}
		}
		fmt.Fprint(out, len(wave[0]), clips)
		for _, at := range mel.ClipLimits(len(wave[0]), clips) {
			fmt.Fprint(out, " ", at[0], at[1])
		}
		fmt.Fprintln(out)
		for _, x := range [][]float32{wave[0], mel.Clips(wave, clips, mel.MeanImageBind), mel.Clips(wave, clips, mel.MeanClip)} {
			if err := binary.Write(out, binary.LittleEndian, x); err != nil {
				return err
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
}
