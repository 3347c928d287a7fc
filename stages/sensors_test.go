package stages

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/half"
	"prep/internal/media"
	"prep/internal/random"
	"prep/internal/sample"
)

// writeTree puts files below a new folder.
func writeTree(t *testing.T, files map[string][]byte) string {
	t.Helper()
	root := t.TempDir()
	for name, data := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// ingested is what became of each sample of a tree.
type ingested struct {
	sample.Sample
	err error
}

// ingest takes every sample of a tree through the processor. yaml is laid over the defaults.
func ingest(t *testing.T, root, yaml string) map[string]ingested {
	t.Helper()
	cfg, err := configs.Load(configs.Layers{FileName: "test", File: []byte(yaml)})
	if err != nil {
		t.Fatal(err)
	}
	tools := &media.Tools{}
	plan, _, err := MakePlan(t.Context(), root, cfg, tools, true)
	if err != nil {
		t.Fatal(err)
	}
	proc, err := NewProcessor(plan, "", cfg.Ingest, tools)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]ingested{}
	_, listing, err := MakePlan(t.Context(), root, cfg, tools, true)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := plan.Adopt(filepath.Join(dir, "out"), listing); err != nil {
		t.Fatal(err)
	}
	for _, task := range plan.Tasks {
		samples, err := task.Samples(filepath.Join(dir, "out"))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range samples {
			_, err := proc.Process(t.Context(), &s)
			out[s.Key] = ingested{s, err}
		}
	}
	return out
}

func pngOf(t *testing.T, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// grey16 is a 16-bit PNG of a formula.
func grey16(t *testing.T, w, h int, f func(x, y int) uint16) []byte {
	img := image.NewGray16(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetGray16(x, y, color.Gray16{Y: f(x, y)})
		}
	}
	return pngOf(t, img)
}

// grey8 is an 8-bit PNG of a formula.
func grey8(t *testing.T, w, h int, f func(x, y int) uint8) []byte {
	img := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetGray(x, y, color.Gray{Y: f(x, y)})
		}
	}
	return pngOf(t, img)
}

// npy32 is a float32 NPY [h,w].
func npy32(w, h int, f func(x, y int) float32) []byte {
	header := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }\n", h, w)
	b := binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(header)))
	b = append(b, header...)
	for y := range h {
		for x := range w {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f(x, y)))
		}
	}
	return b
}

func depthAt(s *sample.Sample, x, y int) float64 {
	return float64(half.ToFloat32(binary.LittleEndian.Uint16(s.Tensors[sample.Depth].Data[2*(224*y+x):])))
}

func motionAt(s *sample.Sample, channel, i int) float64 {
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(s.Tensors[sample.IMU].Data[4*(2000*channel+i):])))
}

// One wall in every encoding of depth is one disparity.
func TestDepthOfAWall(t *testing.T) {
	mm := func(v uint16) []byte { return grey16(t, 300, 240, func(x, y int) uint16 { return v }) }
	root := writeTree(t, map[string][]byte{
		"depth/wall.png": mm(2000),
		"depth/half.png": grey16(t, 300, 240, func(x, y int) uint16 {
			if x < 150 {
				return 0
			}
			return 2000
		}),
		"depth/metres.npy":  npy32(300, 240, func(x, y int) float32 { return 2 }),
		"depth/nothing.png": mm(0),
		"depth/levels.png":  grey8(t, 300, 240, func(x, y int) uint8 { return 51 }),
	})
	want := 0.075 * 518.857901 / 2
	got := ingest(t, root, "")
	for _, key := range []string{"wall", "metres"} {
		s := got[key]
		if s.err != nil {
			t.Fatal(s.err)
		}
		if v := depthAt(&s.Sample, 100, 100); math.Abs(v-want) > 0.005 {
			t.Errorf("%s: disparity %g, want %g", key, v, want)
		}
		if v, _ := s.Metrics.Number("depth_mean_m"); math.Abs(v-2) > 1e-6 {
			t.Errorf("%s: mean %g m", key, v)
		}
	}
	gappy := got["half"]
	if v, _ := gappy.Metrics.Number("depth_valid_ratio"); gappy.err != nil || v != 0.5 {
		t.Errorf("half: %v, valid %g", gappy.err, v)
	}
	if near, far := depthAt(&gappy.Sample, 20, 100), depthAt(&gappy.Sample, 200, 100); near != 0 || math.Abs(far-want) > 0.005 {
		t.Errorf("half: disparity %g without depth and %g with it", near, far)
	}
	if r := fault.ReasonOf(got["nothing"].err); r != "no_depth" || fault.KindOf(got["nothing"].err) != fault.Rejected {
		t.Errorf("nothing: %v", got["nothing"].err)
	}
	if r := fault.ReasonOf(got["levels"].err); r != "depth_encoding" {
		t.Errorf("levels: %v", got["levels"].err)
	}
	for _, c := range []struct {
		yaml, key string
		want      float64
	}{
		{"depth: {encoding: units, units_per_metre: 25.5}", "levels", want},
		{"depth: {encoding: units, units_per_metre: 5000}", "wall", want * 5},
		{"depth: {focal_px: 1000, baseline_m: 0.1}", "wall", 50},
		{"depth: {max_disparity: 75}", "wall", want / 75},
		{"depth: {encoding: disparity}", "metres", 2},
		{"depth: {encoding: nyu, focal_px: 1000}", "wall", want},
	} {
		s := ingest(t, root, c.yaml)[c.key]
		if s.err != nil {
			t.Fatalf("%s: %v", c.yaml, s.err)
		}
		if v := depthAt(&s.Sample, 100, 100); math.Abs(v-c.want) > 1e-3*c.want {
			t.Errorf("%s: disparity %g, want %g", c.yaml, v, c.want)
		}
	}
	// As the published code: nothing is 1 cm away.
	s := ingest(t, root, "depth: {missing: near}")["half"]
	if v := depthAt(&s.Sample, 20, 100); math.Abs(v-want*200) > 2 {
		t.Errorf("near: %g, want %g", v, want*200)
	}
}

func TestThermal(t *testing.T) {
	ramp := func(x, y int) uint8 { return uint8(x * 255 / 299) }
	kelvin := func(x, y int) uint16 { return uint16(27315 + 4000*x/299) } // 0 to 40 degrees Celsius
	root := writeTree(t, map[string][]byte{
		"thermal/eight.png":   grey8(t, 300, 240, ramp),
		"thermal/radio.png":   grey16(t, 300, 240, kelvin),
		"thermal/celsius.npy": npy32(300, 240, func(x, y int) float32 { return 40 * float32(x) / 299 }),
		"thermal/blank.png":   grey8(t, 300, 240, func(x, y int) uint8 { return 9 }),
		"thermal/broken.png":  []byte("\x89PNG\r\n\x1a\n"),
	})
	got := ingest(t, root, "")
	eight := got["eight"]
	if eight.err != nil {
		t.Fatal(eight.err)
	}
	if v, _ := eight.Metrics.Number("thermal_spread"); v < 245 || v > 255 {
		t.Errorf("a ramp spreads %g levels", v)
	}
	for key, reason := range map[string]string{"radio": "flat_thermal", "blank": "flat_thermal", "celsius": "no_range", "broken": "truncated"} {
		if r := fault.ReasonOf(got[key].err); r != reason {
			t.Errorf("%s: %v, want %s", key, got[key].err, reason)
		}
	}
	for _, c := range []struct{ key, yaml string }{{"radio", "thermal: {min: 27315, max: 31315}"}, {"celsius", "thermal: {min: 0, max: 40}"}} {
		s := ingest(t, root, c.yaml)[c.key]
		if s.err != nil {
			t.Fatal(s.err)
		}
		for i, v := range s.Tensors[sample.Thermal].Data {
			if w := eight.Tensors[sample.Thermal].Data[i]; max(v, w)-min(v, w) > 2 {
				t.Fatalf("%s: value %d is %d, the 8-bit picture's %d", c.key, i, v, w)
			}
		}
	}
}

// recordingCSV is 9.81 m/s2 downwards and a turn that tells the time: gyroscope x is the seconds since begin.
func recordingCSV(header string, rate, begin, seconds, unit float64, skip func(t float64) bool) []byte {
	var b strings.Builder
	b.WriteString(header + "\n")
	for i := range int(rate * seconds) {
		t := float64(i) / rate
		if skip == nil || !skip(t) {
			fmt.Fprintf(&b, "%.6f,0,0,9.81,%.6f,0,0\n", (begin+t)*unit, t)
		}
	}
	return []byte(b.String())
}

func TestMotionWindows(t *testing.T) {
	const names = "t,ax,ay,az,gx,gy,gz"
	manifest := "key,image,imu,start,end\n"
	files := map[string][]byte{"a.png": grey8(t, 240, 240, func(x, y int) uint8 { return uint8(x) })}
	add := func(key string, data []byte, start, end string) {
		files["imu_"+key+".csv"] = data
		manifest += fmt.Sprintf("%s,a.png,imu_%s.csv,%s,%s\n", key, key, start, end)
	}
	add("whole", recordingCSV(names, 200, 0, 30, 1, nil), "", "")
	add("stretch", recordingCSV("t_ms,ax,ay,az,gx,gy,gz", 200, 0, 30, 1000, nil), "10", "20")
	add("start", recordingCSV(names, 200, 0, 30, 1, nil), "7", "")
	add("edge", recordingCSV(names, 200, 0, 30, 1, nil), "0", "4.4") // centre 2.2: the window moves by 0.3
	add("early", recordingCSV(names, 200, 0, 30, 1, nil), "0", "1")  // by 2 s: off the frames
	add("epoch", recordingCSV("timestamp [ns],ax,ay,az,gx,gy,gz", 200, 1.6e9, 30, 1e9, nil), "10", "20")
	add("cut", recordingCSV(names, 200, 0, 5, 1, nil), "100", "105")
	add("fast", recordingCSV(names, 1000, 0, 12, 1, nil), "4", "9")
	add("outside", recordingCSV(names, 200, 0, 30, 1, nil), "100", "105")
	add("brief", recordingCSV(names, 200, 0, 4.7, 1, nil), "", "")
	add("short", recordingCSV(names, 200, 0, 3, 1, nil), "", "")
	add("gap", recordingCSV(names, 200, 0, 30, 1, func(t float64) bool { return t > 14 && t < 15 }), "", "")
	add("g", bytes.ReplaceAll(recordingCSV("t,acc_x_g,acc_y_g,acc_z_g,gyr_x,gyr_y,gyr_z", 200, 0, 30, 1, nil), []byte(",9.81,"), []byte(",1,")), "", "")
	add("unsaid", bytes.ReplaceAll(recordingCSV(names, 200, 0, 30, 1, nil), []byte(",9.81,"), []byte(",1,")), "", "")
	add("noaccel", bytes.ReplaceAll(recordingCSV(names, 200, 0, 30, 1, nil), []byte(",0,0,9.81"), []byte(",,,")), "", "")
	files["manifest.csv"] = []byte(manifest)
	got := ingest(t, writeTree(t, files), "")
	for key, start := range map[string]float64{"whole": 12.5, "stretch": 12.5, "start": 7, "edge": 0, "epoch": 12.5, "cut": 0, "fast": 4, "brief": -0.15, "g": 12.5} {
		s := got[key]
		if s.err != nil {
			t.Errorf("%s: %v", key, s.err)
			continue
		}
		for _, i := range []int{200, 1000, 1800} {
			if at, want := motionAt(&s.Sample, 3, i), start+float64(i)/400; math.Abs(at-want) > 0.004 {
				t.Errorf("%s: sample %d shows second %.3f, want %.3f", key, i, at, want)
			}
			if g := motionAt(&s.Sample, 2, i); math.Abs(g-9.81) > 0.004 {
				t.Errorf("%s: gravity %g", key, g)
			}
		}
		if r, _ := s.Metrics.Number("imu_gap_s"); r > 0.02 {
			t.Errorf("%s: a gap of %g s", key, r)
		}
	}
	edge := got["edge"]
	if v, _ := edge.Metrics.Number("imu_offset_s"); math.Abs(v-0.3) > 1e-6 {
		t.Errorf("edge: moved by %g s, want 0.3", v)
	}
	if v, _ := edge.Metrics.Number("imu_rate_hz"); math.Abs(v-200) > 0.1 {
		t.Errorf("edge: %g Hz", v)
	}
	if v, ok := got["whole"].Metrics.Number("imu_offset_s"); ok {
		t.Errorf("whole: an offset of %g s to nothing", v)
	}
	for key, want := range map[string]string{
		"early": "rejected imu_offset", "outside": "corrupt segment_outside", "short": "corrupt too_short",
		"gap": "rejected imu_gap", "unsaid": "rejected weak_gravity", "noaccel": "corrupt missing_values",
	} {
		err := got[key].err
		if text := fmt.Sprint(fault.KindOf(err), " ", fault.ReasonOf(err)); err == nil || text != want {
			t.Errorf("%s: %v (%s), want %s", key, err, text, want)
		}
	}
}

// halfCSV is one sensor's table of a recording whose both sensors tell the time: x is the clock's seconds minus zero.
func halfCSV(rate, begin, seconds, zero, unit float64) []byte {
	var b strings.Builder
	b.WriteString("time,x,y,z\n")
	for i := range int(rate * seconds) {
		t := begin + float64(i)/rate
		fmt.Fprintf(&b, "%.6f,%.6f,9.81,0\n", t*unit, t-zero)
	}
	return []byte(b.String())
}

// Two files of one recording, each at its own rate and on its own rows, are resampled by their own times on the clock
// that they share, over the stretch for which both are there.
func TestMotionOfTwoFiles(t *testing.T) {
	files := map[string][]byte{"a.png": grey8(t, 240, 240, func(x, y int) uint8 { return uint8(x) })}
	manifest := "key,image,accel,gyro,start,end\n"
	add := func(key string, accel, gyro []byte, start, end string) {
		files["acc_"+key+".csv"], files["gyr_"+key+".csv"] = accel, gyro
		manifest += fmt.Sprintf("%s,a.png,acc_%s.csv,gyr_%s.csv,%s,%s\n", key, key, key, start, end)
	}
	add("whole", halfCSV(200, 0, 30, 0, 1), halfCSV(97, 0.003, 30, 0, 1), "", "")
	add("units", halfCSV(100, 1.6e9, 30, 1.6e9, 1e9), halfCSV(50, 1.6e9, 30, 1.6e9, 1), "10", "20") // ns and s since 1970
	add("overlap", halfCSV(100, 0, 20, 0, 1), halfCSV(100, 6, 20, 0, 1), "", "")                    // 6 to 20: the middle is 13
	add("edge", halfCSV(100, 0, 20, 0, 1), halfCSV(100, 2, 18, 0, 1), "1.8", "6.8")                 // begins 0.2 s before both are there
	add("fast", halfCSV(1000, 0, 12, 0, 1), halfCSV(100, 0, 12, 0, 1), "4", "9")
	add("astray", halfCSV(100, 0, 20, 0, 1), append(halfCSV(100, 0, 20, 0, 1), "99999,1,1,1\n"...), "", "")
	add("apart", halfCSV(100, 0, 20, 0, 1), halfCSV(100, 30, 20, 0, 1), "", "")
	add("epoch", halfCSV(100, 0, 20, 0, 1), halfCSV(100, 1.6e9, 20, 1.6e9, 1), "", "")
	add("little", halfCSV(100, 0, 20, 0, 1), halfCSV(100, 11, 20, 0, 1), "", "")
	add("brief", halfCSV(100, 0, 6, 0, 1), halfCSV(100, 2, 6, 0, 1), "", "")
	add("unclocked", halfCSV(100, 0, 20, 0, 1), []byte("x,y,z\n1,2,3\n1,2,3\n"), "", "")
	add("torn", halfCSV(100, 0, 20, 0, 1), []byte("time,x,y,z\n1,2,3,up\n"), "", "")
	add("swapped", []byte("time,gx,gy,gz\n0,0,0,0\n0.01,0,0,0\n"), halfCSV(100, 0, 20, 0, 1), "", "")
	hole := bytes.Split(halfCSV(100, 0, 20, 0, 1), []byte("\n"))
	add("gap", halfCSV(100, 0, 20, 0, 1), bytes.Join(append(hole[:950:950], hole[1050:]...), []byte("\n")), "", "")
	add("empty", halfCSV(100, 0, 20, 0, 1), bytes.ReplaceAll(halfCSV(100, 0, 20, 0, 1), []byte(",9.81,0"), []byte(",,0")), "", "")
	files["manifest.csv"] = []byte(manifest)
	got := ingest(t, writeTree(t, files), "")
	for key, start := range map[string]float64{"whole": 12.5, "units": 12.5, "overlap": 10.5, "edge": 2, "fast": 4, "astray": 7.495} {
		s := got[key]
		if s.err != nil {
			t.Errorf("%s: %v", key, s.err)
			continue
		}
		for _, i := range []int{0, 200, 1000, 1800, 1999} {
			for _, channel := range []int{0, 3} {
				if at, want := motionAt(&s.Sample, channel, i), start+float64(i)/400; math.Abs(at-want) > 0.006 {
					t.Errorf("%s: sample %d of channel %d shows second %.3f, want %.3f", key, i, channel, at, want)
				}
			}
			if g := motionAt(&s.Sample, 1, i); math.Abs(g-9.81) > 0.004 {
				t.Errorf("%s: gravity %g", key, g)
			}
		}
	}
	whole, overlap, edge := got["whole"], got["overlap"], got["edge"]
	if v, _ := whole.Metrics.Number("imu_rate_hz"); math.Abs(v-97) > 0.1 { // the slower
		t.Errorf("whole: %g Hz", v)
	}
	if v, _ := edge.Metrics.Number("imu_offset_s"); math.Abs(v-0.2) > 1e-6 {
		t.Errorf("edge: moved by %g s, want 0.2", v)
	}
	if len(whole.Notes) != 0 || len(overlap.Notes) != 1 || !strings.Contains(overlap.Notes[0], "13.99 s that both have are used") {
		t.Errorf("notes %q and %q", whole.Notes, overlap.Notes)
	}
	for key, want := range map[string]string{
		"apart":     "corrupt sensors_apart: the accelerometer (acc_apart.csv) runs from 0.00 s to 19.99 s on its clock, the gyroscope (gyr_apart.csv) from 30.00 s to 49.99 s: they have no time in common",
		"epoch":     "corrupt sensors_apart: …one counts from 1970",
		"little":    "corrupt sensors_apart: …8.99 s in common, less than half",
		"brief":     "corrupt too_short: acc_brief.csv with gyr_brief.csv lasts 3.99 s",
		"unclocked": "corrupt sensors_apart: acc_unclocked.csv states its times and gyr_unclocked.csv does not",
		"torn":      `corrupt corrupt_motion: gyr_torn.csv: CSV:2: z "up"`,
		"swapped":   "corrupt missing_columns: acc_swapped.csv: CSV: no column of accelerometer x",
		"gap":       "rejected imu_gap: the longest gap of the recording 1.01 s",
		"empty":     "corrupt missing_values: gyr_empty.csv: the gyroscope has no values",
	} {
		err := got[key].err
		head, tail, _ := strings.Cut(want, ": ")
		if text := fmt.Sprint(fault.KindOf(err), " ", fault.ReasonOf(err)); err == nil || text != head || !strings.Contains(err.Error(), strings.TrimPrefix(tail, "…")) {
			t.Errorf("%s: %v (%s), want %s", key, err, text, want)
		}
	}
}

// A recording in one file and the same rows in two give the same tensor and the same metrics, whatever the columns are
// called.
func TestMotionJoinedAsOne(t *testing.T) {
	row := func(i int) (string, string, string) {
		x := float64(i) / 130
		return fmt.Sprintf("%.5f", x+0.3*math.Sin(float64(i))/130), fmt.Sprintf("%.4f,%.4f,%.4f", math.Sin(9*x), math.Cos(x), 9.81), fmt.Sprintf("%.4f,%.4f,%.4f", math.Cos(7*x), 0.1*x, 0.2)
	}
	one, accel, gyro := "t,ax,ay,az,gx,gy,gz\n", "t,x,y,z\n", "clock,p,q,r\n"
	for i := range 1200 {
		at, a, g := row(i)
		one += at + "," + a + "," + g + "\n"
		accel += at + "," + a + "\n"
		gyro += at + "," + g + "\n"
	}
	root := writeTree(t, map[string][]byte{
		"imu/one.csv": []byte(one), "imu/two_acc.csv": []byte(accel), "imu/two_gyr.csv": []byte(gyro),
	})
	got := ingest(t, root, "imu: {gyro_columns: 'clock, p, q, r'}")
	a, b := got["one"], got["two"]
	if a.err != nil || b.err != nil {
		t.Fatal(a.err, b.err)
	}
	if !bytes.Equal(a.Tensors[sample.IMU].Data, b.Tensors[sample.IMU].Data) {
		t.Error("the tensors differ")
	}
	if fmt.Sprint(a.Metrics) != fmt.Sprint(b.Metrics) {
		t.Errorf("measured %v in one file, %v in two", a.Metrics, b.Metrics)
	}
	if r := fault.ReasonOf(ingest(t, root, "")["two"].err); r != "missing_columns" {
		t.Errorf("without the columns' names: %q", r)
	}
	for _, yaml := range []string{"imu: {accel_columns: 'x,y'}", "imu: {gyro_columns: 'a,b,c,d,e'}"} {
		if _, err := configs.Load(configs.Layers{FileName: "test", File: []byte(yaml)}); err == nil || !strings.Contains(err.Error(), "_columns") {
			t.Errorf("%s: %v", yaml, err)
		}
	}
}

// What flip.when: ingest stores is what the trainer would show, for all pictures of a sample together.
func TestFlipAtIngest(t *testing.T) {
	files := map[string][]byte{}
	for i := range 12 {
		files[fmt.Sprintf("images/%02d.png", i)] = grey8(t, 230, 240, func(x, y int) uint8 { return uint8(x + i) })
		files[fmt.Sprintf("thermal/%02d.png", i)] = grey8(t, 230, 240, func(x, y int) uint8 { return uint8(x + y/8) })
		files[fmt.Sprintf("depth/%02d.png", i)] = grey16(t, 230, 240, func(x, y int) uint16 { return uint16(1000 + 10*x) })
		files[fmt.Sprintf("imu/%02d.csv", i)] = recordingCSV("t,ax,ay,az,gx,gy,gz", 100, 0, 6, 1, nil)
	}
	root := writeTree(t, files)
	plain, baked := ingest(t, root, ""), ingest(t, root, "flip: {when: ingest, seed: 3}")
	flips := 0
	for key, b := range baked {
		a := plain[key]
		if a.err != nil || b.err != nil {
			t.Fatal(a.err, b.err)
		}
		flip := random.Flip(3, 0, key)
		if n, ok := b.Metrics.Number("flipped"); !ok || (n == 1) != flip {
			t.Errorf("%s: the metric says %g, the draw %v", key, n, flip)
		}
		if _, ok := a.Metrics.Number("flipped"); ok {
			t.Errorf("%s: flipped without flip.when", key)
		}
		for _, m := range []sample.Modality{sample.Image, sample.Depth, sample.Thermal, sample.IMU} {
			want := bytes.Clone(a.Tensors[m].Data)
			if flip && m != sample.IMU {
				size := a.Tensors[m].DType.Size()
				for at := 0; at < len(want); at += 224 * size {
					for x := range 224 {
						copy(want[at+x*size:][:size], a.Tensors[m].Data[at+(223-x)*size:][:size])
					}
				}
			}
			if !bytes.Equal(want, b.Tensors[m].Data) {
				t.Errorf("%s: %s is not what the draw says", key, m)
			}
		}
		if flip {
			flips++
		}
	}
	if flips == 0 || flips == len(baked) {
		t.Errorf("%d of %d flipped", flips, len(baked))
	}
}

// Many workers, windows of a few recordings, and room for hardly one: everyone gets what one worker gets.
func TestMotionCache(t *testing.T) {
	files := map[string][]byte{"a.png": grey8(t, 240, 240, func(x, y int) uint8 { return uint8(x) })}
	manifest := "key,image,imu,start,end\n"
	for r := range 4 {
		files[fmt.Sprintf("m%d.csv", r)] = recordingCSV("t,ax,ay,az,gx,gy,gz", 100, float64(1000*r), 60, 1, nil)
		for w := range 8 {
			manifest += fmt.Sprintf("%d-%d,a.png,m%d.csv,%d,%d\n", w, r, r, 1000*r+5*w, 1000*r+5*w+5)
		}
	}
	files["bad.csv"] = []byte("nothing")
	manifest += "bad-1,a.png,bad.csv,,\nbad-2,a.png,bad.csv,,\n"
	files["manifest.csv"] = []byte(manifest)
	root := writeTree(t, files)
	want := ingest(t, root, "")
	cfg, err := configs.Load(configs.Layers{})
	if err != nil {
		t.Fatal(err)
	}
	plan, listing, err := MakePlan(t.Context(), root, cfg, &media.Tools{}, true)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Ingest.IMUCacheMB = 0 // one recording stays
	proc, err := NewProcessor(plan, "", cfg.Ingest, &media.Tools{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for line := range bytes.Lines(listing) {
		wg.Go(func() {
			var s sample.Sample
			if err := json.Unmarshal(line, &s); err != nil {
				t.Error(err)
				return
			}
			_, err := proc.Process(t.Context(), &s)
			w := want[s.Key]
			if fmt.Sprint(err) != fmt.Sprint(w.err) || !bytes.Equal(s.Tensors[sample.IMU].Data, w.Tensors[sample.IMU].Data) {
				t.Errorf("%s: %v, alone %v", s.Key, err, w.err)
			}
		})
	}
	wg.Wait()
	if n := len(proc.motions.held); n != 1 {
		t.Errorf("%d recordings are kept", n)
	}
	if got := fault.ReasonOf(want["bad-2"].err); got != "not_motion" {
		t.Errorf("bad-2: %v", want["bad-2"].err)
	}
}
