package cli_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sbinet/npyio"

	"prep/internal/cli"
	"prep/internal/half"
	"prep/internal/media"
	"prep/mel"
	"prep/shards"
)

// TestDumpedSound: mel.npy is the shard's tensor, and audio.wav the sound that it was made of: the source's samples
// where nothing was to be done to them, and in each case what gives the same log-mel again.
func TestDumpedSound(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	if err := os.Mkdir(src, 0o777); err != nil {
		t.Fatal(err)
	}
	sources := map[string]struct {
		rate, channels, frames int
	}{
		"plain":     {16000, 1, 48000},
		"resampled": {44100, 2, 100000},
		"short":     {16000, 1, 9000},
	}
	raw := map[string][]float32{}
	for key, c := range sources {
		var data []byte
		for i := range c.frames * c.channels {
			v := int16(9000*math.Sin(float64(i)*float64(i)/3e6) + 3000*math.Sin(float64(i)/7))
			data = binary.LittleEndian.AppendUint16(data, uint16(v))
			raw[key] = append(raw[key], float32(v)/(1<<15))
		}
		le := binary.LittleEndian
		b := append(le.AppendUint32([]byte("RIFF"), uint32(36+len(data))), "WAVEfmt \x10\x00\x00\x00\x01\x00"...)
		b = le.AppendUint16(b, uint16(c.channels))
		b = le.AppendUint32(b, uint32(c.rate))
		b = le.AppendUint32(b, uint32(2*c.rate*c.channels))
		b = le.AppendUint16(b, uint16(2*c.channels))
		b = append(le.AppendUint16(b, 16), "data"...)
		b = append(le.AppendUint32(b, uint32(len(data))), data...)
		for name, b := range map[string][]byte{key + ".wav": b, key + ".txt": []byte("a caption that is long enough")} {
			if err := os.WriteFile(filepath.Join(src, name), b, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct{ dtype, mean, descr string }{
		{"float16", "clip", "<f2"},
		{"float32", "clip", "<f4"},
		{"float16", "imagebind", "<f2"},
	} {
		out := filepath.Join(dir, c.dtype+c.mean)
		config := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(config, []byte("audio: {dtype: "+c.dtype+", mean: "+c.mean+", channel: first}\nfilters: {snr: {off: true}}\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		prep(t, "ingest", src, "--out", out, "--config", config)
		ds, err := shards.Open(out, shards.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer ds.Close()
		if ds.Len() != len(sources) {
			t.Fatalf("%d samples, want %d", ds.Len(), len(sources))
		}
		for i := range ds.Len() {
			key := ds.Key(i)
			dump := filepath.Join(out, "dump", key)
			prep(t, "inspect", out, key, "--dump", dump)
			stored := ds.Tensor(i, "audio")

			npy, err := os.ReadFile(filepath.Join(dump, "mel.npy"))
			if err != nil {
				t.Fatal(err)
			}
			r, err := npyio.NewReader(bytes.NewReader(npy))
			if err != nil {
				t.Fatal(err)
			}
			if d := r.Header.Descr; d.Type != c.descr || d.Fortran || !slices.Equal(d.Shape, stored.Shape) {
				t.Errorf("%s, %s: mel.npy is %+v, stored are %v", out, key, d, stored.Shape)
			}
			if !bytes.HasSuffix(npy, stored.Data) || len(npy)%64 != len(stored.Data)%64 {
				t.Errorf("%s, %s: mel.npy is not the stored tensor", out, key)
			}
			if f, err := os.Open(filepath.Join(dump, "mel.png")); err != nil {
				t.Error(err)
			} else if _, err := png.Decode(f); err != nil {
				t.Error(err)
			}

			snd, err := (&media.Tools{}).DecodeSound(t.Context(), filepath.Join(dump, "audio.wav"), media.Segment{})
			if err != nil {
				t.Fatal(err)
			}
			if snd.SourceRate != mel.SampleRate || snd.SourceChannels != 1 || len(snd.Notes) > 0 {
				t.Errorf("%s, %s: audio.wav has %d Hz, %d channels, %q", out, key, snd.SourceRate, snd.SourceChannels, snd.Notes)
			}
			s := sources[key]
			wave := [][]float32{snd.Data}
			for ch := range s.channels {
				x := make([]float32, s.frames)
				for i := range x {
					x[i] = raw[key][i*s.channels+ch]
				}
				y, err := mel.Resample(x, s.rate)
				if err != nil {
					t.Fatal(err)
				}
				if ch == 0 && !slices.Equal(snd.Data, y) {
					t.Errorf("%s, %s: audio.wav is not the source's first channel at 16 kHz", out, key)
				} else if ch > 0 {
					wave = append(wave, y)
				}
			}
			mean := mel.MeanClip
			if c.mean == "imagebind" {
				mean = mel.MeanImageBind
			}
			var again []byte
			for _, v := range mel.Clips(wave, stored.Shape[0], mean) {
				if c.dtype == "float16" {
					again = binary.LittleEndian.AppendUint16(again, half.FromFloat32(v))
				} else {
					again = binary.LittleEndian.AppendUint32(again, math.Float32bits(v))
				}
			}
			if !bytes.Equal(again, stored.Data) {
				t.Errorf("%s, %s: audio.wav gives another log-mel than the stored one", out, key)
			}

			var text struct {
				Caption string
				IDs     []int32 `json:"ids"`
			}
			b, err := os.ReadFile(filepath.Join(dump, "text.json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(b, &text); err != nil {
				t.Fatal(err)
			}
			var ids []byte
			for _, id := range text.IDs {
				ids = binary.LittleEndian.AppendUint32(ids, uint32(id))
			}
			if !bytes.Equal(ids, ds.Tensor(i, "text").Data) || !strings.HasPrefix(text.Caption, "a caption") {
				t.Errorf("%s, %s: text.json has %q, %v", out, key, text.Caption, text.IDs)
			}
		}
	}
}

// prep runs a command that must not fail.
func prep(t *testing.T, args ...string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := cli.Main(append([]string{"prep"}, args...), &out, &errs); code != 0 {
		t.Fatalf("prep %s: exit %d\n%s%s", strings.Join(args, " "), code, &out, &errs)
	}
}
