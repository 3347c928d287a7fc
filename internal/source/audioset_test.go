package source

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const labelsCSV = `-- class_labels_indices.csv --
index,mid,display_name
0,/m/09x0r,"Speech"
5,/m/02qldy,"Narration, monologue"
72,/m/05tny_,"Bark"
`

// Every way of naming media that facts of the field know.
func TestAudioSetNames(t *testing.T) {
	root := grow(t, labelsCSV+`
-- eval_segments.csv --
# Segments csv created Sun Mar  5 10:54:25 2017
# num_ytids=20383, num_segs=20383, num_unique_labels=527, num_positive_labels=52882
# YTID, start_seconds, end_seconds, positive_labels
--4gqARaEJE, 0.000, 10.000, "/m/09x0r,/m/05tny_"
-bare_abc_d, 30.000, 40.000, "/m/09x0r"
_under_sc-r, 30.000, 40.000, "/m/09x0r"
millisecs_1, 30.000, 40.000, "/m/09x0r"
millisecs_2, 30.000, 40.000, "/m/09x0r"
decimals__2, 30.000, 40.000, "/m/09x0r"
integers-_3, 30.000, 40.000, "/m/09x0r"
Yown-letter, 150.000, 160.000, "/m/02qldy"
startonly_4, 150.000, 160.000, "/m/09x0r"
vggsound__5, 30.000, 40.000, "/m/09x0r"
truncated_6, 30.480, 40.480, "/m/09x0r"
with_dash_7, 30.000, 40.000, "/m/09x0r"
video_only8, 30.000, 40.000, "/m/09x0r"
both_kinds9, 30.000, 40.000, "/m/09x0r"
frame_alone, 30.000, 40.000, "/m/09x0r"
gone_vanish, 30.000, 40.000, "/m/09x0r"
wrongstart_, 30.000, 40.000, "/m/09x0r"
`)
	touch(t, root,
		"balanced_train_segments/--4gqARaEJE.wav",
		"eval_segments/audio/Y-bare_abc_d.wav",
		"_under_sc-r_30.000.WAV",
		"x/millisecs_1_30000_40000.flac",
		"x/Ymillisecs_2_30000.flac",
		"decimals__2_30.000_40.000.mp4",
		"unbalanced_train_segments/unbalanced_train_segments_part00/integers-_3_30_40.m4a",
		"Yown-letter.wav",
		"startonly_4_150.000.wav",
		"vggsound__5_000030.mp4",
		"truncated_6_30_40.wav",
		"with_dash_7_30.000-40.000.wav",
		"video/video_only8.mp4", "frames/video_only8.jpg",
		"video/both_kinds9.mp4", "audio/both_kinds9.wav", "images/both_kinds9_30.000.png",
		"images/frame_alone.jpg",
		"wrongstart__60.000.wav",
		"other/notlisted12.wav", "gone_vanish.txt",
	)
	expect(t, mustList(t, root, sound), `
--4gqARaEJE_0 [Speech; Bark] audio=balanced_train_segments/--4gqARaEJE.wav@0-10 text="a sound of Speech, Bark"
-bare_abc_d_30000 [Speech] audio=eval_segments/audio/Y-bare_abc_d.wav@30-40 text="a sound of Speech"
Yown-letter_150000 [Narration, monologue] audio=Yown-letter.wav@150-160 text="a sound of Narration, monologue"
_under_sc-r_30000 [Speech] audio=_under_sc-r_30.000.WAV@30-40 text="a sound of Speech"
both_kinds9_30000 [Speech] image=images/both_kinds9_30.000.png video=video/both_kinds9.mp4@30-40 audio=audio/both_kinds9.wav@30-40 text="a sound of Speech"
decimals__2_30000 [Speech] video=decimals__2_30.000_40.000.mp4@30-40 audio=decimals__2_30.000_40.000.mp4@30-40 text="a sound of Speech"
frame_alone_30000 [Speech] image=images/frame_alone.jpg !missing
gone_vanish_30000 [Speech] !missing
integers-_3_30000 [Speech] audio=unbalanced_train_segments/unbalanced_train_segments_part00/integers-_3_30_40.m4a@30-40 text="a sound of Speech"
millisecs_1_30000 [Speech] audio=x/millisecs_1_30000_40000.flac@30-40 text="a sound of Speech"
millisecs_2_30000 [Speech] audio=x/Ymillisecs_2_30000.flac@30-40 text="a sound of Speech"
startonly_4_150000 [Speech] audio=startonly_4_150.000.wav@150-160 text="a sound of Speech"
truncated_6_30480 [Speech] audio=truncated_6_30_40.wav@30.48-40.48 text="a sound of Speech"
vggsound__5_30000 [Speech] video=vggsound__5_000030.mp4@30-40 audio=vggsound__5_000030.mp4@30-40 text="a sound of Speech"
video_only8_30000 [Speech] image=frames/video_only8.jpg video=video/video_only8.mp4@30-40 audio=video/video_only8.mp4@30-40 text="a sound of Speech"
with_dash_7_30000 [Speech] audio=with_dash_7_30.000-40.000.wav@30-40 text="a sound of Speech"
wrongstart__30000 [Speech] !missing
# 2 media files are of no listed segment and passed over: other/notlisted12.wav, wrongstart__60.000.wav
`)
}

// Several segments of one video are told apart by the start; a file that states none serves them all.
func TestAudioSetSegmentsOfOneVideo(t *testing.T) {
	root := grow(t, labelsCSV+`
-- train_segments.csv --
abcdefghijk, 0.000, 10.000, "/m/09x0r"
abcdefghijk, 30.000, 40.000, "/m/05tny_"
abcdefghijk, 30.500, 40.500, "/m/05tny_"
abcdefghijk, 30.000, 35.000, "/m/05tny_"
whole_video, 10, 20, "/m/09x0r"
whole_video, 50, 60, "/m/09x0r"
whole_video, 70, 80, "/m/09x0r"
`)
	touch(t, root, "abcdefghijk_0_10000.wav", "abcdefghijk_30.000.wav", "abcdefghijk_30.500.wav", "whole_video.mp4", "whole_video_50.000_60.000.mp4", "cut/whole_video_50.mp4")
	expect(t, mustList(t, root, Options{}), `
abcdefghijk_0 [Speech] audio=abcdefghijk_0_10000.wav@0-10
abcdefghijk_30000 [Bark] audio=abcdefghijk_30.000.wav@30-40
abcdefghijk_30000_35000 [Bark] audio=abcdefghijk_30.000.wav@30-35
abcdefghijk_30500 [Bark] audio=abcdefghijk_30.500.wav@30.5-40.5
whole_video_10000 [Speech] video=whole_video.mp4@10-20 audio=whole_video.mp4@10-20
whole_video_50000 [Speech] video=cut/whole_video_50.mp4@50-60 audio=cut/whole_video_50.mp4@50-60
whole_video_70000 [Speech] video=whole_video.mp4@70-80 audio=whole_video.mp4@70-80
# 2 files were passed over for another of the same segment and modality: whole_video_50000, whole_video_50000
`)
}

// A start cut to the second is taken only where no segment starts at that second.
func TestAudioSetTruncatedStart(t *testing.T) {
	root := grow(t, `
-- a_segments.csv --
abcdefghijk, 30.000, 40.000, "x"
abcdefghijk, 30.500, 40.500, "x"
`)
	touch(t, root, "abcdefghijk_30.wav")
	l := mustList(t, root, Options{})
	if l.Samples[0].Problem != "" || l.Samples[1].Problem != "missing" {
		t.Error(show(l))
	}
}

// Byte order mark, CRLF, missing quotes, no # before the header, a segment in two lists, names that no list
// has, ontology.json for those that the labels lack.
func TestAudioSetLists(t *testing.T) {
	root := t.TempDir()
	put(t, root, "class_labels_indices.csv", "\xef\xbb\xbfindex,mid,display_name\r\n0,/m/09x0r,\"Speech\"\r\n")
	put(t, root, "ontology.json", `[{"id":"/m/05tny_","name":"Bark","description":"x","child_ids":[]},{"id":"/m/09x0r","name":"Other"}]`)
	put(t, root, "balanced_train_segments.csv", "\xef\xbb\xbf# comment, \"with a quote\r\n# another\r\nYTID, start_seconds, end_seconds, positive_labels\r\naaaaaaaaaaa, 0.000, 10.000, \"/m/09x0r,/m/05tny_\"\r\n\r\nbbbbbbbbbbb, 5, 15, /m/05tny_,/m/unknown\r\n")
	put(t, root, "eval_segments.csv", "aaaaaaaaaaa,0.0,10.0,\"/m/0new\"\nccccccccccc, 0, 10, \"\"\n")
	put(t, root, "empty_segments.csv", "# nothing\n")
	put(t, root, "notes.csv", "who,what\nme,it\n")
	touch(t, root, "aaaaaaaaaaa.wav", "bbbbbbbbbbb.wav", "ccccccccccc.wav")
	expect(t, mustList(t, root, sound), `
aaaaaaaaaaa_0 [Speech; Bark; /m/0new] audio=aaaaaaaaaaa.wav@0-10 text="a sound of Speech, Bark"
bbbbbbbbbbb_5000 [Bark; /m/unknown] audio=bbbbbbbbbbb.wav@5-15 text="a sound of Bark"
ccccccccccc_0 audio=ccccccccccc.wav@0-10
# empty_segments.csv lists no segment
# 1 CSV is neither of segments nor of labels nor of captions and passed over: notes.csv
# 1 segment was listed before and not counted again: aaaaaaaaaaa_0
# 2 labels of classes that no class_labels_indices.csv or ontology.json names stay as they are and make no caption: /m/0new, /m/unknown
`)
	// One list of the tree alone.
	expect(t, mustList(t, filepath.Join(root, "eval_segments.csv"), sound), `
aaaaaaaaaaa_0 [/m/0new] audio=aaaaaaaaaaa.wav@0-10
ccccccccccc_0 audio=ccccccccccc.wav@0-10
# 1 CSV is neither of segments nor of labels nor of captions and passed over: notes.csv
# 1 label of classes that no class_labels_indices.csv or ontology.json names stay as they are and make no caption: /m/0new
# 1 media file is of no listed segment and passed over: bbbbbbbbbbb.wav
`)
}

func TestAudioCaps(t *testing.T) {
	archive := `
-- captions/train.csv --
audiocap_id,youtube_id,start_time,caption
1,aaaaaaaaaaa,30,"A man speaks, then a dog barks"
2,aaaaaaaaaaa,30,Speech and barking
3,aaaaaaaaaaa,70,Elsewhere
4,bbbbbbbbbbb,0,Rain
`
	root := grow(t, labelsCSV+archive+`
-- eval_segments.csv --
aaaaaaaaaaa, 30.000, 40.000, "/m/09x0r"
bbbbbbbbbbb, 50.000, 60.000, "/m/05tny_"
`)
	touch(t, root, "aaaaaaaaaaa.wav", "bbbbbbbbbbb.wav")
	expect(t, mustList(t, root, sound), `
aaaaaaaaaaa_30000 [Speech] audio=aaaaaaaaaaa.wav@30-40 text="A man speaks, then a dog barks"+"Speech and barking"
bbbbbbbbbbb_50000 [Bark] audio=bbbbbbbbbbb.wav@50-60 text="a sound of Bark"
`)
	// Without a list of segments the captions list them.
	root = grow(t, archive)
	touch(t, root, "aaaaaaaaaaa_30.wav", "bbbbbbbbbbb.wav")
	l := mustList(t, root, sound)
	if l.Kind != "audioset" {
		t.Errorf("taken for %s", l.Kind)
	}
	expect(t, l, `
aaaaaaaaaaa_30000 audio=aaaaaaaaaaa_30.wav@30-40 text="A man speaks, then a dog barks"+"Speech and barking"
aaaaaaaaaaa_70000 !missing
bbbbbbbbbbb_0 audio=bbbbbbbbbbb.wav@0-10 text="Rain"
# 1 segment was listed before and not counted again: aaaaaaaaaaa_30000
`)
}

func TestLatin1List(t *testing.T) {
	root := t.TempDir()
	put(t, root, "a_segments.csv", "aaaaaaaaaaa, 0, 10, \"x\"\n")
	put(t, root, "caps.csv", "audiocap_id,youtube_id,start_time,caption\n1,aaaaaaaaaaa,0,Caf\xe9 noise\n")
	touch(t, root, "aaaaaaaaaaa.wav")
	expect(t, mustList(t, root, Options{}), `
aaaaaaaaaaa_0 [x] audio=aaaaaaaaaaa.wav@0-10 text="Café noise"
# caps.csv: 1 field is not UTF-8 and read as Latin-1: line 2
# 1 label of classes that no class_labels_indices.csv or ontology.json names stay as they are and make no caption: x
`)
}

func TestVGGSound(t *testing.T) {
	root := grow(t, `
-- vggsound.csv --
---g-f_I2yQ,1,people marching,test
--0PQM4-hqg,30,"waterfall burbling, loud",train
`)
	touch(t, root, "---g-f_I2yQ_000001.mp4", "--0PQM4-hqg_000030.mp4")
	expect(t, mustList(t, root, sound), `
---g-f_I2yQ_1000 [people marching] video=---g-f_I2yQ_000001.mp4@1-11 audio=---g-f_I2yQ_000001.mp4@1-11 text="a sound of people marching"
--0PQM4-hqg_30000 [waterfall burbling, loud] video=--0PQM4-hqg_000030.mp4@30-40 audio=--0PQM4-hqg_000030.mp4@30-40 text="a sound of waterfall burbling, loud"
`)
}

func TestAudioSetErrors(t *testing.T) {
	for _, c := range []struct {
		file, data string
		words      []string
	}{
		{"a_segments.csv", "# c\naaaaaaaaaaa, 0, 10\n", []string{"a_segments.csv:2", "3 columns", "want YTID"}},
		{"a_segments.csv", "# c\n# d\naaaaaaaaaaa, 0, 10, \"x\"\naaaaaaaaaab, zero, 10, \"x\"\n", []string{"a_segments.csv:4", `"zero"`, "want YTID"}},
		{"a_segments.csv", "aaaaaaaaaaa, 10, 5, \"x\"\n", []string{"a_segments.csv:1", "no segment"}},
		{"a_segments.csv", "aaaaaaaaaaa, NaN, 5, \"x\"\n", []string{"a_segments.csv:1", "no segment"}},
		{"a_segments.csv", "aaaaaaaaaaa, -1, 5, \"x\"\n", []string{"a_segments.csv:1", "no segment"}},
		{"a_segments.csv", ", 0, 5, \"x\"\n", []string{"a_segments.csv:1", "no YTID"}},
		{"a_segments.csv", "aaaaaaaaaaa, 0, 10, \"x\nb, 0, 10, \"y\"\nc, 0, 10, \"z\"\n", []string{"a_segments.csv:1", "quote"}},
		{"a_segments.csv", "aaaaaaaaaaa, 0, 10, x\"y\n", []string{"a_segments.csv:1"}},
		{"a_segments.csv", "# only comments\n", []string{"hold no row", "want YTID"}},
		{"a_segments.csv", "", []string{"hold no row"}},
		{"a_segments.csv", "\xff\xfea\x00", []string{"a_segments.csv is UTF-16"}},
		{"a_segments.csv", "PK\x03\x04\x00\x00", []string{"a_segments.csv is no text"}},
		{"a_segments.csv", "aaaaaaaaaaa, 0, 10, \"" + strings.Repeat("x", maxField+1) + "\"\n", []string{"a_segments.csv:1", "not closed"}},
		{"class_labels_indices.csv", "index,mid\n0,/m/1\n", []string{"class_labels_indices.csv:1", "no column display_name", "index, mid"}},
		{"class_labels_indices.csv", "", []string{"class_labels_indices.csv is empty"}},
		{"class_labels_indices.csv", "index,mid,display_name\n0,/m/1\n", []string{"class_labels_indices.csv:2", "no display_name"}},
		{"ontology.json", `{"id": 3}`, []string{"ontology.json", "list of classes"}},
		{"caps.csv", "audiocap_id,youtube_id,start_time,caption\n1,aaaaaaaaaaa,soon,hm\n", []string{"caps.csv:2", `"soon"`}},
		{"caps.csv", "audiocap_id,youtube_id,start_time,caption\n1,aaaaaaaaaaa,5\n", []string{"caps.csv:2", "3 columns"}},
		{"vggsound.csv", "aaaaaaaaaaa,1,dog,train\nbbbbbbbbbbb,one,dog,train\n", []string{"vggsound.csv:2", `"one"`}},
		{"vggsound.csv", "aaaaaaaaaaa,1\n", []string{"vggsound.csv:1", "2 columns"}},
	} {
		root := t.TempDir()
		touch(t, root, "aaaaaaaaaaa.wav")
		if !strings.HasSuffix(c.file, "_segments.csv") {
			put(t, root, "ok_segments.csv", "aaaaaaaaaaa, 0, 10, \"x\"\n")
		}
		put(t, root, c.file, c.data)
		_, err := List(context.Background(), root, Options{})
		wantInput(t, err, c.words...)
	}
}

// The bundled tree: every sample that is expected is found, under the key that the ledger uses.
func TestBundledAudioSet(t *testing.T) {
	root := filepath.Join("..", "..", "testdata", "audioset")
	want, err := os.ReadFile(filepath.Join("..", "..", "testdata", "audioset.expected.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	l := mustList(t, root, sound)
	lines := strings.Split(strings.TrimSpace(string(want)), "\n")[1:]
	if len(lines) != len(l.Samples) {
		t.Errorf("%d samples, want %d", len(l.Samples), len(lines))
	}
	for i, s := range l.Samples {
		key, outcome, _ := strings.Cut(lines[i], "\t")
		if s.Key != key || (s.Problem == "missing") != (outcome == "failed:missing") {
			t.Errorf("%s (%s): want %s", s.Key, s.Problem, lines[i])
		}
	}
}

// A list of the size of AudioSet's: linear, one walk, no quadratic matching.
func BenchmarkAudioSet(b *testing.B) {
	root := b.TempDir()
	const n = 20000
	var list strings.Builder
	for i := range n {
		fmt.Fprintf(&list, "yt_%08d, %d.000, %d.000, \"/m/09x0r,/m/05tny_\"\n", i, i%300, i%300+10)
		if i%10 == 0 {
			touch(b, root, fmt.Sprintf("part%02d/yt_%08d_%d.000.wav", i%41, i, i%300))
		}
	}
	put(b, root, "unbalanced_train_segments.csv", list.String())
	b.ReportAllocs()
	for b.Loop() {
		if l := mustList(b, root, sound); len(l.Samples) != n {
			b.Fatal(len(l.Samples))
		}
	}
}

// The parsers take any bytes: an error or rows that hold what the rest relies on.
func FuzzAudioSetLists(f *testing.F) {
	f.Add([]byte("# c\naaaaaaaaaaa, 0.000, 10.000, \"/m/09x0r,/m/05tny_\"\r\n"))
	f.Add([]byte("index,mid,display_name\n0,/m/09x0r,\"Speech\"\n"))
	f.Add([]byte("audiocap_id,youtube_id,start_time,caption\n1,aaaaaaaaaaa,30,\"A man, a dog\"\n"))
	f.Add([]byte("---g-f_I2yQ,1,people marching,test\n"))
	f.Add([]byte("[{\"id\":\"/m/05tny_\",\"name\":\"Bark\"}]"))
	f.Add([]byte("\xef\xbb\xbfa, 1e300, inf, \"caf\xe9\"\n\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		root := t.TempDir()
		touch(t, root, "aaaaaaaaaaa_30.wav")
		for _, name := range []string{"a_segments.csv", "vggsound.csv", "class_labels_indices.csv", "ontology.json", "caps.csv"} {
			put(t, root, name, string(data))
			l, err := List(context.Background(), root, sound)
			if err != nil {
				wantInput(t, err)
			} else {
				check(t, l)
			}
			put(t, root, name, "") // the next one alone
			if err := os.Remove(filepath.Join(root, name)); err != nil {
				t.Fatal(err)
			}
			put(t, root, "ok_segments.csv", "aaaaaaaaaaa, 30, 40, \"/m/09x0r\"\n")
		}
	})
}

func FuzzIdentify(f *testing.F) {
	f.Add("abc_30.000_40.000")
	f.Add("Yabc_30000")
	f.Add("_-_30_40_50")
	f.Fuzz(func(t *testing.T, name string) {
		a := &audioSet{first: map[string]int32{"abc": 0, "_-": 1, "abc_30": 2}}
		id, m, ok := a.identify(name)
		if !ok {
			return
		}
		if !strings.HasPrefix(name, id) {
			t.Errorf("%q has the id %q", name, id)
		}
		if m.stated != (len(name) > len(id)) || m.start < 0 {
			t.Errorf("%q: %+v", name, m)
		}
	})
}
