package cli

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"prep/bpe"
	"prep/internal/fault"
	"prep/internal/half"
	"prep/internal/report"
	"prep/internal/sample"
	"prep/mel"
	"prep/shards"
	"prep/stages"
)

func (s *session) inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show what is stored of a data set or of one sample",
		UsageText: "prep inspect [SHARDS [KEY]] [--dump DIR]",
		Description: "Without a key: counts and columns. With one: caption, labels, metrics and tensors, or why the sample was dropped.\n" +
			"--dump writes what the model sees: audio.wav (16 kHz mono as transformed; needs the source files), mel.npy, mel.png,\n" +
			"image.png, thermal.png, depth.png, imu.png, video_0.png and so on, depth.npy, imu.npy, text.json (caption, ids, pieces).",
		Flags:        []cli.Flag{jsonFlag, &cli.StringFlag{Name: "dump", Usage: "write the sample's tensors as files into `DIR`"}},
		OnUsageError: usageError,
		Action:       s.inspect,
	}
}

func (s *session) inspect(c *cli.Context) error {
	dir := "shards"
	if c.NArg() > 0 {
		dir = c.Args().First()
	}
	if c.NArg() > 2 {
		return fault.Usagef("inspect takes SHARDS and KEY, got %d arguments", c.NArg())
	}
	if err := mustBeShards(dir); err != nil {
		return err
	}
	ds, err := shards.Open(dir, shards.OpenOptions{IgnoreSelection: true})
	if err != nil {
		return err
	}
	defer ds.Close()
	if c.NArg() < 2 {
		if c.IsSet("dump") {
			return fault.Usagef("--dump needs a KEY: prep inspect SHARDS KEY --dump DIR")
		}
		return s.inspectAll(c, dir, ds)
	}
	key := c.Args().Get(1)
	for i := range ds.Len() {
		if ds.Key(i) == key {
			row, err := ds.Row(i)
			if err != nil {
				return err
			}
			return s.inspectRow(c, dir, ds, row)
		}
	}
	return s.inspectDropped(c, dir, ds.Manifest(), key)
}

func (s *session) inspectAll(c *cli.Context, dir string, ds *shards.Dataset) error {
	m := ds.Manifest()
	w := s.results(c)
	s.printIngest(w, m, dir)
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "column\ttype\trows")
	columns := map[string]int{}
	for _, f := range m.Schema.Tensors {
		n := 0
		for i := range ds.Len() {
			if ds.Has(i, f.Name) {
				n++
			}
		}
		columns[f.Name] = n
		fmt.Fprintf(tw, "%s\t%s%v\t%d\n", f.Name, f.DType, f.Shape, n)
	}
	tw.Flush()
	for i := range min(3, ds.Len()) {
		fmt.Fprintln(w, "for example:", commandLine("prep", "inspect", dir, ds.Key(i)))
	}
	return s.summary(c, map[string]any{"command": "inspect", "samples": ds.Len(), "columns": columns})
}

// inspectDropped looks the key up in the ledger.
func (s *session) inspectDropped(c *cli.Context, dir string, m *shards.Manifest, key string) error {
	for _, t := range m.Tasks {
		rows, err := shards.ReadLedger(filepath.Join(dir, t.Ledger.Name))
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.Key != key {
				continue
			}
			w := s.results(c)
			fmt.Fprintf(w, "%s: %s, %s: %s\nsource: %s\n", key, r.Outcome, r.Reason, r.Detail, strings.Join(r.Source, ", "))
			printMetrics(w, r.Metrics)
			if c.IsSet("dump") {
				return fault.Inputf("%s was %s at ingest (%s): there is nothing to dump", key, r.Outcome, r.Reason)
			}
			return s.summary(c, map[string]any{"command": "inspect", "key": key, "outcome": r.Outcome, "reason": r.Reason, "detail": r.Detail, "metrics": r.Metrics})
		}
	}
	return fault.Inputf("%s has no sample %q", dir, key)
}

func printMetrics(w io.Writer, m sample.Metrics) {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, k := range sortedKeys(m) {
		fmt.Fprintf(tw, "  %s\t%v\n", k, m[k])
	}
	tw.Flush()
}

func (s *session) inspectRow(c *cli.Context, dir string, ds *shards.Dataset, row shards.Row) error {
	w := s.results(c)
	fmt.Fprintf(w, "key: %s\ncaption: %s\n", row.Key, row.Caption)
	for _, c := range row.Captions[min(1, len(row.Captions)):] {
		fmt.Fprintf(w, "or: %s\n", c)
	}
	fmt.Fprintf(w, "labels: %s\n", strings.Join(row.Labels, "; "))
	printMetrics(w, row.Metrics())
	tensors := map[string]string{}
	for _, f := range ds.Manifest().Schema.Tensors {
		if t := row.Tensor(f.Name); !t.Absent() {
			tensors[f.Name] = fmt.Sprintf("%s%v", t.DType, t.Shape)
			fmt.Fprintf(w, "  %s %s\n", f.Name, tensors[f.Name])
		}
	}
	var files []string
	if out := c.String("dump"); out != "" {
		var err error
		if files, err = s.dump(c, dir, out, row); err != nil {
			return err
		}
		fmt.Fprintf(w, "wrote %s\n", strings.Join(files, ", "))
	}
	return s.summary(c, map[string]any{"command": "inspect", "key": row.Key, "caption": row.Caption, "captions": row.Captions, "labels": row.Labels, "metrics": row.Metrics(), "tensors": tensors, "files": files})
}

// dump writes what is stored of a row as files that other programs open.
func (s *session) dump(c *cli.Context, dir, out string, row shards.Row) ([]string, error) {
	if err := os.MkdirAll(out, 0o777); err != nil {
		return nil, fault.Environmentf("--dump: %w", err)
	}
	var files []string
	write := func(name string, fill func(io.Writer) error) error {
		var b bytes.Buffer
		if err := fill(&b); err != nil {
			return err
		}
		path := filepath.Join(out, name)
		if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
			return fault.Environmentf("--dump: %w", err)
		}
		files = append(files, path)
		return nil
	}
	for m := range sample.NumModalities {
		t := row.Tensor(m.String())
		if t.Absent() {
			continue
		}
		var err error
		switch m {
		case sample.Audio:
			err = errors.Join(
				write("mel.npy", func(w io.Writer) error { return writeNPY(w, t) }),
				write("mel.png", func(w io.Writer) error { return writeMel(w, t) }),
				s.dumpWave(c, dir, row, write))
		case sample.Text:
			err = write("text.json", func(w io.Writer) error { return writeText(w, row, t) })
		case sample.Image, sample.Thermal:
			err = write(m.String()+".png", func(w io.Writer) error { return writePNG(w, t.Data, t.Shape[0], 0, 1) })
		case sample.Video:
			views, view := 1, len(t.Data)
			if len(t.Shape) == 5 {
				views = t.Shape[0]
				view /= views
			}
			frames := t.Shape[len(t.Shape)-3]
			for i := range views {
				for f := range frames {
					name := fmt.Sprintf("video_%d.png", f)
					if views > 1 {
						name = fmt.Sprintf("video_%d_%d.png", i, f)
					}
					err = errors.Join(err, write(name, func(w io.Writer) error { return writePNG(w, t.Data[i*view:(i+1)*view], 3, f, frames) }))
				}
			}
		case sample.Depth:
			err = errors.Join(
				write("depth.npy", func(w io.Writer) error { return writeNPY(w, t) }),
				write("depth.png", func(w io.Writer) error { return writeDepth(w, t) }))
		case sample.IMU:
			err = errors.Join(
				write("imu.npy", func(w io.Writer) error { return writeNPY(w, t) }),
				write("imu.png", func(w io.Writer) error { return report.TracesPNG(w, floats(t), t.Shape[0]) }))
		}
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// dumpWave decodes the source once more: shards hold no waveform.
func (s *session) dumpWave(c *cli.Context, dir string, row shards.Row, write func(string, func(io.Writer) error) error) error {
	wave, err := stages.Wave(c.Context, dir, row.Task, row.Key, findTools(c.Context))
	if err != nil {
		s.logf("no audio.wav: the source cannot be read again: %v", err)
		return nil
	}
	return write("audio.wav", func(w io.Writer) error { return writeWAV(w, wave) })
}

// writeNPY writes a tensor in NumPy's format 1.0, float16 included.
func writeNPY(w io.Writer, t sample.Tensor) error {
	descr := map[sample.DType]string{sample.Uint8: "|u1", sample.Int32: "<i4", sample.Float16: "<f2", sample.Float32: "<f4"}[t.DType]
	var dims strings.Builder
	for _, d := range t.Shape {
		fmt.Fprintf(&dims, "%d, ", d)
	}
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, dims.String())
	pad := (64 - (10+len(header)+1)%64) % 64
	header += strings.Repeat(" ", pad) + "\n"
	if _, err := w.Write([]byte("\x93NUMPY\x01\x00")); err != nil {
		return err
	}
	if err := binary.Write(w, binary.LittleEndian, uint16(len(header))); err != nil {
		return err
	}
	if _, err := io.WriteString(w, header); err != nil {
		return err
	}
	_, err := w.Write(t.Data)
	return err
}

// writeMel draws all clips of [clips,1,128,204] one below the other.
func writeMel(w io.Writer, t sample.Tensor) error {
	return report.MelPNG(w, floats(t), t.Shape[0], mel.Bins, mel.Frames)
}

// writePNG writes one frame of channel-major pixels, [channels,frames,side,side].
func writePNG(w io.Writer, data []byte, channels, frame, frames int) error {
	side := int(math.Sqrt(float64(len(data) / channels / frames)))
	plane := side * side
	img := image.NewNRGBA(image.Rect(0, 0, side, side))
	for i := range plane {
		for c := range 3 {
			img.Pix[4*i+c] = data[(min(c, channels-1)*frames+frame)*plane+i]
		}
		img.Pix[4*i+3] = 255
	}
	return png.Encode(w, img)
}

// writeDepth draws disparity, near bright: black is 0, white the map's 99th percentile, so that one near pixel
// does not darken the rest.
func writeDepth(w io.Writer, t sample.Tensor) error {
	x := floats(t)
	sorted := slices.Sorted(slices.Values(x))
	top := sorted[len(sorted)*99/100]
	levels := make([]byte, len(x))
	for i, v := range x {
		if top > 0 {
			levels[i] = uint8(min(max(v/top, 0), 1)*255 + 0.5)
		}
	}
	return writePNG(w, levels, 1, 0, 1)
}

// writeText writes the caption with its token ids and their pieces, and the same of all captions where there are
// several.
func writeText(w io.Writer, row shards.Row, t sample.Tensor) error {
	ids, pieces := tokens(t.Data)
	out := map[string]any{"caption": row.Caption, "ids": ids, "pieces": pieces}
	if row.Captions != nil {
		type tokenised struct {
			Caption string   `json:"caption"`
			IDs     []int32  `json:"ids"`
			Pieces  []string `json:"pieces"`
		}
		var all []tokenised
		texts := row.Tensor(sample.ColumnTexts).Data
		for i, c := range row.Captions {
			const width = 4 * bpe.ContextLength
			if len(texts) < (i+1)*width {
				break
			}
			ids, pieces := tokens(texts[i*width : (i+1)*width])
			all = append(all, tokenised{c, ids, pieces})
		}
		out["captions"] = all
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}

// tokens reads stored ids and says what they stand for, up to the padding.
func tokens(data []byte) (ids []int32, pieces []string) {
	ids = make([]int32, len(data)/4)
	for i := range ids {
		ids[i] = int32(binary.LittleEndian.Uint32(data[4*i:]))
	}
	used := len(ids)
	for used > 0 && ids[used-1] == 0 {
		used--
	}
	return ids, bpe.Pieces(ids[:used])
}

// writeWAV writes 16 kHz mono as 32-bit float: the very values that were transformed.
func writeWAV(w io.Writer, wave []float32) error {
	n := uint32(4 * len(wave))
	head := make([]byte, 0, 58)
	u16, u32 := binary.LittleEndian.AppendUint16, binary.LittleEndian.AppendUint32
	head = append(head, "RIFF"...)
	head = u32(head, 4+26+12+8+n)
	head = append(head, "WAVEfmt "...)
	head = u32(head, 18)
	head = u16(head, 3) // IEEE float
	head = u16(head, 1)
	head = u32(head, mel.SampleRate)
	head = u32(head, 4*mel.SampleRate)
	head = u16(head, 4)
	head = u16(head, 32)
	head = u16(head, 0)
	head = append(head, "fact"...)
	head = u32(head, 4)
	head = u32(head, uint32(len(wave)))
	head = append(head, "data"...)
	head = u32(head, n)
	if _, err := w.Write(head); err != nil {
		return err
	}
	return binary.Write(w, binary.LittleEndian, wave)
}

// floats widens a stored float tensor.
func floats(t sample.Tensor) []float32 {
	out := make([]float32, len(t.Data)/max(t.DType.Size(), 1))
	for i := range out {
		switch t.DType {
		case sample.Float16:
			out[i] = half.ToFloat32(binary.LittleEndian.Uint16(t.Data[2*i:]))
		case sample.Float32:
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
		}
	}
	return out
}
