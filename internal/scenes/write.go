package scenes

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"prep/internal/random"
)

// manifestFile lists the renditions of a folder, a line each.
const manifestFile = "manifest.jsonl"

// entry is a line of the manifest, in the words of prep's source "manifest".
type entry struct {
	Key     string   `json:"key"`
	Image   string   `json:"image"`
	Caption string   `json:"caption"`
	Audio   string   `json:"audio"`
	Depth   string   `json:"depth"`
	Thermal string   `json:"thermal"`
	IMU     string   `json:"imu"`
	Labels  []string `json:"labels"`
}

// Write makes the files of a rendition of each scene for each of the takes, which tell renditions of a scene apart,
// in a new folder. The label of an item is its scene's name.
func Write(ctx context.Context, dir string, seed uint64, list []Scene, takes ...int) error {
	for _, m := range []string{"image", "audio", "depth", "thermal", "imu"} {
		if err := os.MkdirAll(filepath.Join(dir, m), 0o777); err != nil {
			return err
		}
	}
	entries := make([]entry, len(list)*len(takes))
	errs := make([]error, len(entries))
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				entries[i], errs[i] = writeScene(dir, seed, takes[i/len(list)], list[i%len(list)])
			}
		})
	}
	for i := range entries {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	manifest := filepath.Join(dir, manifestFile)
	err := writeFile(manifest+".tmp", func(w io.Writer) error {
		enc := json.NewEncoder(w)
		for _, e := range entries {
			if err := enc.Encode(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return os.Rename(manifest+".tmp", manifest)
}

// Written reports whether Write has come to its end in a folder.
func Written(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, manifestFile))
	return err == nil
}

// writeScene writes a rendition's files.
func writeScene(dir string, seed uint64, take int, s Scene) (entry, error) {
	key := fmt.Sprintf("%s-%d", s.key(), take)
	r := render(s, random.New(seed, "scene", take, s.key()))
	// The order of these is the order of the draws.
	wording := wordings[r.draws.Below(len(wordings))]
	picture, sound, depth, heat, motion := r.picture(), r.sound(), r.depth(), r.heat(), r.motion()
	e := entry{
		Key:   key,
		Image: "image/" + key + ".jpg", Audio: "audio/" + key + ".wav", Depth: "depth/" + key + ".png",
		Thermal: "thermal/" + key + ".png", IMU: "imu/" + key + ".csv",
		Caption: strings.NewReplacer("{shape}", Shapes[s.Shape], "{colour}", Colours[s.Colour], "{motion}", Motions[s.Motion], "{size}", Sizes[s.Size]).Replace(wording),
		Labels:  []string{s.Name()},
	}
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{e.Image, func(w io.Writer) error { return jpeg.Encode(w, picture, &jpeg.Options{Quality: 92}) }},
		{e.Audio, func(w io.Writer) error { return writeWAV(w, sound) }},
		{e.Depth, func(w io.Writer) error { return writePNG(w, depth) }},
		{e.Thermal, func(w io.Writer) error { return writePNG(w, heat) }},
		{e.IMU, func(w io.Writer) error { return writeCSV(w, motion) }},
	} {
		if err := writeFile(filepath.Join(dir, filepath.FromSlash(f.name)), f.write); err != nil {
			return e, err
		}
	}
	return e, nil
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	if err = write(w); err == nil {
		err = w.Flush()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// writePNG does not compress: the files are read once or twice, and their grain hardly shrinks.
func writePNG(w io.Writer, m image.Image) error {
	return (&png.Encoder{CompressionLevel: png.NoCompression}).Encode(w, m)
}

// writeWAV writes mono sound in 16 bits.
func writeWAV(w io.Writer, samples []float64) error {
	n := uint32(2 * len(samples))
	b := append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, 36+n)...)
	b = append(b, "WAVEfmt "...)
	for _, v := range []uint32{16, 1 | 1<<16, soundRate, 2 * soundRate, 2 | 16<<16} { // PCM, one channel, 16 bits
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, n)
	for _, v := range samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(32767*min(1, max(-1, v)))))
	}
	_, err := w.Write(b)
	return err
}

// writeCSV writes times and the six channels.
func writeCSV(w io.Writer, rows [][6]float64) error {
	b := []byte("time_s,accel_x,accel_y,accel_z,gyro_x,gyro_y,gyro_z\n")
	for i, row := range rows {
		b = strconv.AppendFloat(b, float64(i)/motionRate, 'f', 2, 64)
		for _, v := range row {
			b = strconv.AppendFloat(append(b, ','), v, 'f', 4, 64)
		}
		b = append(b, '\n')
	}
	_, err := w.Write(b)
	return err
}
