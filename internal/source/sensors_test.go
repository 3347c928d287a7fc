package source

import (
	"fmt"
	"strings"
	"testing"

	"prep/internal/sample"
)

var scenes = Options{Templates: []string{"a sound of {labels}"}, SceneTemplate: "a photo of a {label}."}

// parts writes what matters of a sample's parts, one a line.
func parts(s *sample.Sample) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %v %s\n", s.Key, s.Labels, s.Problem)
	for _, p := range s.Parts {
		fmt.Fprintf(&b, "  %s %s%s", p.Modality, p.Path, p.Text)
		if p.Gyro != "" {
			fmt.Fprintf(&b, " with %s of %d bytes", p.Gyro, p.GyroSize)
		}
		if p.Start != 0 || p.End != 0 {
			fmt.Fprintf(&b, " %g..%g", p.Start, p.End)
		}
		if p.Focal != 0 || p.Baseline != 0 || p.Encoding != "" {
			fmt.Fprintf(&b, " fx %g baseline %g %s", p.Focal, p.Baseline, p.Encoding)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func wantParts(t *testing.T, l *Listing, kind, want string) {
	t.Helper()
	var b strings.Builder
	for i := range l.Samples {
		b.WriteString(parts(&l.Samples[i]))
	}
	if l.Kind != kind || b.String() != want {
		t.Errorf("%s lists\n%swant %s\n%s", l.Kind, b.String(), kind, want)
	}
}

func wantNotes(t *testing.T, l *Listing, words ...string) {
	t.Helper()
	all := strings.Join(l.Notes, "\n")
	for _, w := range words {
		if !strings.Contains(all, w) {
			t.Errorf("no note says %q:\n%s", w, all)
		}
	}
}

const sunTree = `
-- SUNRGBD/kv1/NYUdata/NYU0001/annotation/index.json --
{}
-- SUNRGBD/kv1/NYUdata/NYU0001/depth/NYU0001.png --
x
-- SUNRGBD/kv1/NYUdata/NYU0001/depth_bfx/NYU0001.png --
x
-- SUNRGBD/kv1/NYUdata/NYU0001/fullres/NYU0001.jpg --
x
-- SUNRGBD/kv1/NYUdata/NYU0001/fullres/NYU0001.png --
x
-- SUNRGBD/kv1/NYUdata/NYU0001/image/NYU0001.jpg --
x
-- SUNRGBD/kv1/NYUdata/NYU0001/intrinsics.txt --
518.857901 0.000000 284.582449 0.000000 519.469611 208.736166 0.000000 0.000000 1.000000 
-- SUNRGBD/kv1/NYUdata/NYU0001/scene.txt --
living_room
-- SUNRGBD/kv2/kinect2data/000002_2014-05-26_14-23-37_260595134347_rgbf000103-resize/depth/0000103.png --
x
-- SUNRGBD/kv2/kinect2data/000002_2014-05-26_14-23-37_260595134347_rgbf000103-resize/image/0000103.jpg --
x
-- SUNRGBD/kv2/kinect2data/000002_2014-05-26_14-23-37_260595134347_rgbf000103-resize/intrinsics.txt --
529.5 0 365
0 529.5 265
0 0 1
-- SUNRGBD/realsense/lg/2014_10_21-15_11_56-1311000073/depth/0000050.png --
x
-- SUNRGBD/realsense/lg/2014_10_21-15_11_56-1311000073/depth_bfx/0000050.png --
x
-- SUNRGBD/realsense/lg/2014_10_21-15_11_56-1311000073/image/0000050.jpg --
x
-- SUNRGBD/realsense/lg/2014_10_21-15_11_56-1311000073/intrinsics.txt --
none
-- SUNRGBD/realsense/lg/2014_10_21-15_11_56-1311000073/scene.txt --
idk
-- SUNRGBD/xtion/sun3ddata/brown_bm_1/brown_bm_1/0000103-000003423156/depth/0000103-000003423156.png --
x
-- SUNRGBD/xtion/sun3ddata/brown_bm_1/brown_bm_1/0000103-000003423156/intrinsics.txt --
570.342205 0.0 310.0 0.0 570.342205 225.0 0.0 0.0 1.0
-- SUNRGBD/xtion/sun3ddata/brown_bm_1/brown_bm_1/0000103-000003423156/scene.txt --
bookstore
`

func TestSUNRGBD(t *testing.T) {
	root := grow(t, sunTree)
	const nyu, kinect, real, xtion = "SUNRGBD/kv1/NYUdata/NYU0001", "SUNRGBD/kv2/kinect2data/000002_2014-05-26_14-23-37_260595134347_rgbf000103-resize",
		"SUNRGBD/realsense/lg/2014_10_21-15_11_56-1311000073", "SUNRGBD/xtion/sun3ddata/brown_bm_1/brown_bm_1/0000103-000003423156"
	want := `kv1/NYUdata/NYU0001 [living room] 
  image ` + nyu + `/image/NYU0001.jpg
  text a photo of a living room.
  depth ` + nyu + `/%s/NYU0001.png fx 518.857901 baseline 0.075 sunrgbd
kv2/kinect2data/000002_2014-05-26_14-23-37_260595134347_rgbf000103-resize [] 
  image ` + kinect + `/image/0000103.jpg
  depth ` + kinect + `/depth/0000103.png fx 529.5 baseline 0.075 sunrgbd
realsense/lg/2014_10_21-15_11_56-1311000073 [] bad_intrinsics
  image ` + real + `/image/0000050.jpg
  depth ` + real + `/%s/0000050.png fx 0 baseline 0.095 sunrgbd
xtion/sun3ddata/brown_bm_1/brown_bm_1/0000103-000003423156 [bookstore] missing
  text a photo of a bookstore.
  depth ` + xtion + `/depth/0000103-000003423156.png fx 570.342205 baseline 0.095 sunrgbd
`
	l := mustList(t, root, scenes)
	wantParts(t, l, "sunrgbd", fmt.Sprintf(want, "depth_bfx", "depth_bfx"))
	wantNotes(t, l, "2 views have no scene.txt", "2 views have not the depth")
	raw := scenes
	raw.SUNDepth = "depth"
	wantParts(t, mustList(t, root, raw), "sunrgbd", fmt.Sprintf(want, "depth", "depth"))
	// One view alone, and another layout by name.
	one := mustList(t, root+"/"+nyu, scenes)
	if len(one.Samples) != 1 || one.Samples[0].Key != "NYU0001" || one.Kind != "sunrgbd" {
		t.Errorf("one view: %s %+v", one.Kind, one.Samples)
	}
	wantInput(t, listErr(t, grow(t, llvipTree), "sunrgbd"), "no view of SUN RGB-D")
}

func listErr(t *testing.T, root, kind string) error {
	t.Helper()
	o := scenes
	o.Kind = kind
	_, err := List(t.Context(), root, o)
	return err
}

const llvipTree = `
-- LLVIP/Annotations/010001.xml --
<annotation/>
-- LLVIP/infrared/test/190001.jpg --
x
-- LLVIP/infrared/train/010001.jpg --
x
-- LLVIP/infrared/train/010003.jpg --
x
-- LLVIP/visible/test/190001.jpg --
x
-- LLVIP/visible/train/010001.jpg --
x
-- LLVIP/visible/train/010002.jpg --
x
`

func TestLLVIP(t *testing.T) {
	const want = `test/190001 [] 
  image LLVIP/visible/test/190001.jpg
  thermal LLVIP/infrared/test/190001.jpg
train/010001 [] 
  image LLVIP/visible/train/010001.jpg
  thermal LLVIP/infrared/train/010001.jpg
train/010002 [] missing
  image LLVIP/visible/train/010002.jpg
train/010003 [] missing
  thermal LLVIP/infrared/train/010003.jpg
`
	root := grow(t, llvipTree)
	l := mustList(t, root, scenes)
	wantParts(t, l, "llvip", want)
	wantNotes(t, l, "1 annotation of boxes")
	wantParts(t, mustList(t, root+"/LLVIP", scenes), "llvip", strings.ReplaceAll(want, "LLVIP/", ""))
	wantInput(t, listErr(t, grow(t, sunTree), "llvip"), "no pair of LLVIP")
}

const (
	egoA = "001e3e4e-2743-47fc-8564-d5efd11f9e90"
	egoB = "002c3b5c-ed86-4af3-99a1-4b497b7c8a86"
	egoC = "00f6eb9b-5c6d-4f2e-aaaa-0123456789ab"
	egoD = "11f6eb9b-5c6d-4f2e-bbbb-0123456789ab"
	clip = "a0a0eb9b-5c6d-4f2e-cccc-0123456789ab"
)

const egoTree = `
-- ego4d.json --
{"version": "v2", "date": "x", "videos": [
 {"video_uid": "` + egoA + `", "duration_sec": 20.5, "video_metadata": {"audio_duration_sec": 20.4}, "scenarios": ["a"]},
 {"video_uid": "` + egoB + `", "duration_sec": 12.0, "video_metadata": {"audio_duration_sec": null}},
 {"video_uid": "` + egoD + `", "duration_sec": 900, "video_metadata": {"audio_duration_sec": null},
  "clips": [{"clip_uid": "` + clip + `", "video_start_sec": 100, "video_end_sec": 200}]}
], "concurrent_video_sets": [{"a": [1, 2]}]}
-- v2/full_scale/manifest.csv --
video_uid,file
-- v2/full_scale/` + egoA + `.mp4 --
x
-- v2/video_540ss/` + egoA + `.mp4 --
x
-- v2/full_scale/` + egoB + `.mp4 --
x
-- v2/clips/` + clip + `.mp4 --
x
-- v2/imu/manifest.csv --
video_uid,file
-- v2/imu/` + egoA + `.csv --
x
-- v2/imu/` + egoB + `.csv --
x
-- v2/imu/` + egoC + `.csv --
x
-- v2/imu/` + egoD + `.csv --
x
-- v2/annotations/narration.json --
{"` + egoA + `": {"status": "complete",
  "narration_pass_1": {"narrations": [
    {"timestamp_sec": 9.2504, "timestamp_frame": 277, "narration_text": "#C C picks a bag of clothes from the floor", "annotation_uid": "u"},
    {"timestamp_sec": 0.5, "timestamp_frame": 15, "narration_text": "#O A man X sits with #unsure "},
    {"timestamp_sec": 19.9, "timestamp_frame": 600, "narration_text": "#C C puts it down"},
    {"timestamp_sec": 20.1, "timestamp_frame": 603, "narration_text": "#C C sits"}], "summaries": [{"start_sec": 0}]},
  "narration_pass_2": {"narrations": [{"timestamp_sec": 3, "narration_text": "#C C walks"}]}},
 "` + egoD + `": {"narration_pass_1": {"narrations": []},
  "narration_pass_2": {"narrations": [{"timestamp_sec": 110, "narration_text": "#C C walks"}, {"timestamp_sec": 300, "narration_text": "#C C runs"}]}},
 "ffffffff-5c6d-4f2e-aaaa-0123456789ab": {"narration_pass_1": {"narrations": [{"timestamp_sec": 1, "narration_text": "elsewhere"}]}}}
`

func TestEgo4D(t *testing.T) {
	const full = "v2/full_scale/" + egoA + ".mp4"
	want := egoA + `_0 [] 
  video ` + full + ` 0..5
  audio ` + full + ` 0..5
  text A man X sits with something
  imu v2/imu/` + egoA + `.csv 0..5
` + egoA + `_15500 [] 
  video ` + full + ` 15.5..20.5
  audio ` + full + ` 15.5..20.5
  text a person puts it down
  imu v2/imu/` + egoA + `.csv 15.5..20.5
` + egoA + `_6750 [] 
  video ` + full + ` 6.75..11.75
  audio ` + full + ` 6.75..11.75
  text a person picks a bag of clothes from the floor
  imu v2/imu/` + egoA + `.csv 6.75..11.75
` + egoB + `_0 [] 
  video v2/full_scale/` + egoB + `.mp4 0..5
  imu v2/imu/` + egoB + `.csv 0..5
` + egoB + `_5000 [] 
  video v2/full_scale/` + egoB + `.mp4 5..10
  imu v2/imu/` + egoB + `.csv 5..10
` + egoC + ` [] 
  imu v2/imu/` + egoC + `.csv
` + egoD + `_107500 [] 
  video v2/clips/` + clip + `.mp4 7.5..12.5
  text a person walks
  imu v2/imu/` + egoD + `.csv 107.5..112.5
`
	root := grow(t, egoTree)
	l := mustList(t, root, scenes)
	wantParts(t, l, "ego4d", want)
	wantNotes(t, l, "1 video is narrated by the second narrator", "1 video has no narration", "neither narration nor length", "1 narration is at the time", "1 narration lies in no clip")
	// The folder of the version, without the metadata: lengths and sound are unknown, the clip is nobody's.
	v2 := mustList(t, root+"/v2", scenes)
	if v2.Kind != "ego4d" || strings.Contains(show(v2), "audio") {
		t.Errorf("v2: %s\n%s", v2.Kind, show(v2))
	}
	wantNotes(t, v2, "1 clip is of a video that no ego4d.json names")
	// The layout of the redacted narrations.
	put(t, root, "v2/annotations/narration.json", `{"version": "v2", "videos": {"`+egoB+`": {"narrations": [{"text": "C stirs", "time": 6.0, "_unsure": false}]}}}`)
	again := mustList(t, root, scenes)
	if s := show(again); !strings.Contains(s, egoB+"_3500") || !strings.Contains(s, "a person stirs") {
		t.Errorf("redacted narrations:\n%s", s)
	}
	for name, data := range map[string]string{"list": "[1, 2]", "cut off": `{"videos": {"` + egoB + `": {"narr`, "no object": `{"videos": [1]}`} {
		put(t, root, "v2/annotations/narration.json", data)
		if err := listErr(t, root, "auto"); err == nil {
			t.Errorf("narrations, %s: no error", name)
		} else {
			wantInput(t, err, "narration.json")
		}
	}
	wantInput(t, listErr(t, grow(t, llvipTree), "ego4d"), "no recording or video of Ego4D")
}

// A tree of one kind is never taken for another, whatever else lies in it.
func TestLayoutsAreToldApart(t *testing.T) {
	for _, c := range []struct{ name, archive, kind string }{
		{"pairs with folders of sensors", "-- images/a.jpg --\nx\n-- depth/a.png --\nx\n-- infrared/a.png --\nx\n-- imu/a.csv --\nx\n-- text/a.txt --\nx\n", "pairs"},
		{"pairs in parts", "-- train/images/a.jpg --\nx\n-- train/infrared/a.png --\nx\n-- test/images/b.jpg --\nx\n", "pairs"},
		{"intrinsics beside pairs", "-- intrinsics.txt --\n5 0 0\n-- images/a.jpg --\nx\n-- depth/a.png --\nx\n", "pairs"},
		{"frames with one camera", "-- intrinsics.txt --\n5 0 0\n-- image/a.jpg --\nx\n-- image/b.jpg --\nx\n-- depth/a.png --\nx\n-- depth/b.png --\nx\n", "pairs"},
		{"one camera", "-- visible/train/a.jpg --\nx\n-- visible/test/b.jpg --\nx\n", "pairs"},
		{"two cameras of other views", "-- visible/train/a.jpg --\nx\n-- infrared/train/b.jpg --\nx\n", "pairs"},
		{"videos under identifiers", "-- full_scale/" + egoA + ".mp4 --\nx\n", "pairs"},
		{"recordings under identifiers", "-- imu/" + egoA + ".csv --\nx\n-- images/" + egoA + ".jpg --\nx\n", "pairs"},
		{"a manifest over Ego4D's files", "-- manifest.csv --\nvideo,imu\nfull_scale/" + egoA + ".mp4,imu/" + egoA + ".csv\n-- full_scale/" + egoA + ".mp4 --\nx\n-- imu/" + egoA + ".csv --\nx\n", "manifest"},
		{"a manifest over LLVIP's", "-- manifest.csv --\nimage,thermal\nvisible/train/a.jpg,infrared/train/a.jpg\n-- visible/train/a.jpg --\nx\n-- infrared/train/a.jpg --\nx\n", "manifest"},
		{"AudioSet with depth", "-- eval_segments.csv --\nYTID00000aa, 0, 10, \"/m/1\"\n-- audio/YTID00000aa.wav --\nx\n-- kv1/v/image/a.jpg --\nx\n-- kv1/v/depth/a.png --\nx\n-- kv1/v/intrinsics.txt --\n5\n", "audioset"},
	} {
		if l := mustList(t, grow(t, c.archive), scenes); l.Kind != c.kind {
			t.Errorf("%s: %s, want %s", c.name, l.Kind, c.kind)
		}
	}
}

func TestPairsOfSensors(t *testing.T) {
	root := t.TempDir()
	touch(t, root, "images/a.jpg", "depth/a.exr", "thermal/a.tif", "imu/a.parquet", "audio/a.wav", "b/depths/c.pfm", "b/img/c.png", "b/infrared/c.npy")
	wantParts(t, mustList(t, root, scenes), "pairs", `a [] 
  image images/a.jpg
  audio audio/a.wav
  depth depth/a.exr
  thermal thermal/a.tif
  imu imu/a.parquet
b/c [] 
  image b/img/c.png
  depth b/depths/c.pfm
  thermal b/infrared/c.npy
`)
}

// Two tables that are called alike but for their sensor are one recording, in every way in which recorders call them.
func TestPairsOfTwoSensors(t *testing.T) {
	root := t.TempDir()
	touch(t, root,
		// an ending, in a folder imu and beside a video
		"imu/a_accel.csv", "imu/a_gyro.csv", "images/a.jpg",
		"walk.mp4", "walk.acc.npy", "walk.GYR.parquet",
		// Sensor Logger: a folder for each recording; the acceleration with gravity counts
		"imu/b/TotalAcceleration.csv", "imu/b/Accelerometer.csv", "imu/b/Gyroscope.csv", "imu/b/GyroscopeUncalibrated.csv", "imu/b/Gravity.csv", "imu/b/Metadata.csv", "images/b.jpg",
		"clips/c.mp4", "c/Accelerometer.csv", "c/Gyroscope.csv", "c/Location.csv",
		"s1/imu/accelerometer.csv", "s1/imu/gyro.csv", "s1.mp4",
		// a folder for each sensor
		"d/imu/accel/1.csv", "d/imu/gyro/1.csv", "d/images/1.png",
		// half a recording, and both in one file
		"imu/e_accel.csv", "imu/f.csv", "imu/f_accel.csv", "imu/f_gyro.csv", "g_gyro.csv", "h_acc.csv", "h_gyro.txt",
	)
	l := mustList(t, root, scenes)
	wantParts(t, l, "pairs", `a [] 
  image images/a.jpg
  imu imu/a_accel.csv with imu/a_gyro.csv of 1 bytes
b [] 
  image images/b.jpg
  imu imu/b/TotalAcceleration.csv with imu/b/Gyroscope.csv of 1 bytes
c [] 
  video clips/c.mp4
  audio clips/c.mp4
  imu c/Accelerometer.csv with c/Gyroscope.csv of 1 bytes
d/1 [] 
  image d/images/1.png
  imu d/imu/accel/1.csv with d/imu/gyro/1.csv of 1 bytes
e_accel [] 
  imu imu/e_accel.csv
f [] 
  imu imu/f.csv
h_gyro [] 
  text h_gyro.txt
s1 [] 
  video s1.mp4
  audio s1.mp4
  imu s1/imu/accelerometer.csv with s1/imu/gyro.csv of 1 bytes
walk [] 
  video walk.mp4
  audio walk.mp4
  imu walk.acc.npy with walk.GYR.parquet of 1 bytes
`)
	wantNotes(t, l, "5 tables lie beside a recording's accelerometer and gyroscope, and passed over: c/Location.csv, imu/b/Accelerometer.csv, imu/b/Gravity.csv, …",
		"imu/f_accel.csv beside f.csv", "2 files are of a kind that is not read")
	if got := l.Samples[0].Paths(); fmt.Sprint(got) != "[images/a.jpg imu/a_accel.csv imu/a_gyro.csv]" {
		t.Errorf("the files of a are %v", got)
	}
	// Nothing else is needed for a tree, nor a folder for a recording.
	root = t.TempDir()
	touch(t, root, "accel.csv", "gyro.csv", "x/accel.csv", "x/gyro.csv", "Gravity.csv",
		"acc_walking_chest.csv", "Gyroscope_walking_chest.csv", "imu/Meta_Accelerometer_100.000Hz_1.4.4.csv", "imu/Meta_Gyroscope_100.000Hz_1.4.4.csv",
		"imu/acc_gyr_1.csv", "both_acc_gyro.csv", "both_gyro.csv")
	wantParts(t, mustList(t, root, scenes), "pairs", `Meta_100.000Hz_1.4.4 [] 
  imu imu/Meta_Accelerometer_100.000Hz_1.4.4.csv with imu/Meta_Gyroscope_100.000Hz_1.4.4.csv of 1 bytes
acc_gyr_1 [] 
  imu imu/acc_gyr_1.csv
recording [] 
  imu accel.csv with gyro.csv of 1 bytes
walking_chest [] 
  imu acc_walking_chest.csv with Gyroscope_walking_chest.csv of 1 bytes
x [] 
  imu x/accel.csv with x/gyro.csv of 1 bytes
`)
	root = t.TempDir()
	touch(t, root, "imu/accel.csv", "imu/gyro.csv")
	wantParts(t, mustList(t, root, scenes), "pairs", `imu [] 
  imu imu/accel.csv with imu/gyro.csv of 1 bytes
`)
}

func TestManifestOfTwoSensors(t *testing.T) {
	root := grow(t, `
-- manifest.csv --
key,image,accelerometer,gyro_path,imu,start,end
a,a.png,acc.csv,sub/gyr.csv,,3,8
b,a.png,acc.csv,,,,
c,a.png,,sub/gyr.csv,,,
d,a.png,acc.csv,none.csv,,,
e,a.png,acc.csv,../gyr.csv,,,
f,a.png,,,acc.csv,,
g,a.png,acc.csv,acc.csv,,,
-- a.png --
x
-- acc.csv --
x
-- sub/gyr.csv --
longer
`)
	l := mustList(t, root, scenes)
	wantParts(t, l, "manifest", `a [] 
  image a.png
  imu acc.csv with sub/gyr.csv of 7 bytes 3..8
b [] one_sensor
  image a.png
  imu acc.csv
c [] one_sensor
  image a.png
  imu sub/gyr.csv
d [] missing
  image a.png
  imu acc.csv with none.csv of 0 bytes
e [] outside
  image a.png
  imu acc.csv with ../gyr.csv of 0 bytes
f [] 
  image a.png
  imu acc.csv
g [] 
  image a.png
  imu acc.csv
`)
	if d := l.Samples[1].ProblemDetail; !strings.Contains(d, "manifest.csv:3: of the two sensors") {
		t.Errorf("b: %s", d)
	}
	put(t, root, "manifest.csv", "image,accel,gyro,imu\na.png,acc.csv,sub/gyr.csv,acc.csv\n")
	wantInput(t, listErr(t, root, "auto"), "manifest.csv:2", "imu and a file for each sensor")
	// Recordings alone make a manifest.
	put(t, root, "metadata.csv", "accel,gyro\nacc.csv,sub/gyr.csv\n")
	if l := mustList(t, root+"/metadata.csv", scenes); l.Kind != "manifest" || len(l.Samples) != 1 || l.Samples[0].Key != "acc" {
		t.Errorf("%s %+v", l.Kind, l.Samples)
	}
}

// A file of a whole data set is refused with what to do about it, alone and in a folder.
func TestHDF5(t *testing.T) {
	root := t.TempDir()
	touch(t, root, "nyu_depth_v2_labeled.mat")
	wantInput(t, listErr(t, root, "auto"), "1 .mat", "nyu_depth_v2_labeled.mat", "docs/modalities.md")
	_, err := List(t.Context(), root+"/nyu_depth_v2_labeled.mat", scenes)
	wantInput(t, err, "HDF5", "docs/modalities.md")
}

func TestManifestOfSensors(t *testing.T) {
	root := grow(t, `
-- manifest.csv --
key,image,depth,fx,baseline_m,depth_encoding,thermal,imu,start,end,frame_time_s
a,a.png,d.png,525,0.05,units,t.png,m.csv,3,8,
b,a.png,d.png,,,,,m.csv,,,1700000000.25
c,a.png,,,,,,m.csv,4,,
-- a.png --
x
-- d.png --
x
-- t.png --
x
-- m.csv --
x
`)
	wantParts(t, mustList(t, root, scenes), "manifest", `a [] 
  image a.png
  depth d.png fx 525 baseline 0.05 units
  thermal t.png
  imu m.csv 3..8
b [] 
  image a.png
  depth d.png
  imu m.csv 1.69999999775e+09..1.70000000275e+09
c [] 
  image a.png
  imu m.csv 4..0
`)
	for name, row := range map[string]string{"focal": "a.png,d.png,-5,,", "baseline": "a.png,d.png,,wide,", "encoding": "a.png,d.png,,,feet"} {
		put(t, root, "manifest.csv", "image,depth,fx,baseline_m,depth_encoding\n"+row+"\n")
		if err := listErr(t, root, "auto"); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			wantInput(t, err, "manifest.csv:2")
		}
	}
}

func FuzzNarrations(f *testing.F) {
	for _, file := range []string{`{"` + egoA + `": {"narration_pass_1": {"narrations": [{"timestamp_sec": 9, "narration_text": "#C C sits"}]}}}`,
		`{"videos": {"` + egoA + `": {"narrations": [{"time": 9, "text": "sits"}]}}, "x": [[{}]]}`} {
		f.Add(file, true)
	}
	f.Add(`{"videos": [{"video_uid": "`+egoA+`", "duration_sec": 20}], "clips": [{"clip_uid": "`+clip+`", "video_uid": "`+egoA+`", "video_start_sec": 1, "video_end_sec": 9}]}`, false)
	f.Fuzz(func(t *testing.T, file string, narrations bool) {
		root := t.TempDir()
		touch(t, root, "imu/"+egoA+".csv", "clips/"+clip+".mp4")
		name := "ego4d.json"
		if narrations {
			name = "narration.json"
		}
		put(t, root, name, file)
		l, err := List(t.Context(), root, Options{Kind: "ego4d"})
		if err != nil {
			wantInput(t, err)
			return
		}
		check(t, l)
	})
}
