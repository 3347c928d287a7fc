// Command features writes what the noise estimator learned-4 sees of each clip of a training set:
//
//	go run ./scripts/snr/features DIR
//
// DIR holds clips.s16 and clips.csv as mixtures.py writes them, or WAV files (16 kHz, mono, 16 bit, a header
// of 44 bytes) and truth.csv. It writes DIR/features.f32: a line with the names, then a row of float32,
// little-endian, for each clip in the order of the CSV; a clip without a figure is NaN.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"prep/filters"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: features DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir string) error {
	next, err := clips(dir)
	if err != nil {
		return err
	}
	// Under its name once it is whole: build.sh goes by that.
	name := filepath.Join(dir, "features.f32")
	f, err := os.Create(name + ".part")
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	// The names come first, whatever the first clip is.
	noise := make([]float32, 16000)
	s := uint32(1)
	for i := range noise {
		s = (1103515245*s + 12345) & (1<<31 - 1)
		noise[i] = float32(s)/(1<<31) - 0.5
	}
	_, names := filters.SNRTraits(noise)
	unique := make([]string, len(names))
	for i, n := range names {
		if k := slices.Index(unique[:i], n); k >= 0 {
			n = fmt.Sprintf("%s_%d", n, i)
		}
		unique[i] = n
	}
	fmt.Fprintln(w, strings.Join(unique, ","))
	for {
		x, err := next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		values, _ := filters.SNRTraits(x)
		for i := range names {
			v := float32(math.NaN())
			if values != nil {
				v = values[i]
			}
			if err := binary.Write(w, binary.LittleEndian, v); err != nil {
				return err
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(name+".part", name)
}

// clips returns a function that gives one clip after the other, then io.EOF.
func clips(dir string) (func() ([]float32, error), error) {
	name, wav := filepath.Join(dir, "clips.csv"), false
	b, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		name, wav = filepath.Join(dir, "truth.csv"), true
		b, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(strings.NewReader(string(b))).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var raw *os.File
	if !wav {
		if raw, err = os.Open(filepath.Join(dir, "clips.s16")); err != nil {
			return nil, err
		}
	}
	rows = rows[1:]
	return func() ([]float32, error) {
		if len(rows) == 0 {
			return nil, io.EOF
		}
		row := rows[0]
		rows = rows[1:]
		var b []byte
		if wav {
			file, err := os.ReadFile(filepath.Join(dir, row[0]))
			if err != nil {
				return nil, err
			}
			b = file[44:]
		} else {
			at, err1 := strconv.ParseInt(row[0], 10, 64)
			n, err2 := strconv.Atoi(row[1])
			if err1 != nil || err2 != nil {
				return nil, fmt.Errorf("%s: bad row %q", name, row)
			}
			b = make([]byte, 2*n)
			if _, err := raw.ReadAt(b, 2*at); err != nil {
				return nil, err
			}
		}
		x := make([]float32, len(b)/2)
		for i := range x {
			x[i] = float32(int16(binary.LittleEndian.Uint16(b[2*i:]))) / 32768
		}
		return x, nil
	}, nil
}
