package source

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// One data set, three ways of writing its manifest.
const (
	wantDogs = `
dog-1 [dog; bark] image=i/1.jpg audio=a/1.wav@1.5-3.5 text="a dog" sync=-0.25
dog-2 [dog] video=v/2.mp4 audio=v/2.mp4 text="a sound of dog"
dog-3 image=i/3.png text=t/3.txt
# 1 file below it is not in the manifest: extra.wav
`
	dogsJSONL = `{"key":"dog-2","video":"v/2.mp4","labels":["dog"]}

{"key":"dog-1","image":"i/1.jpg","audio":"a/1.wav","caption":"a dog","label":"dog;bark","start":1.5,"end":"3.5","sync_offset_s":-0.25}
{"key":"dog-3","image":"./i/3.png","text":"t/3.txt","video":null}
`
	dogsCSV = "\xef\xbb\xbfkey,Image Path,video,audio,caption,text,label,start,end,sync-offset\r\n" +
		"dog-2,,v/2.mp4,,,,dog,,,\r\n" +
		"dog-1,i/1.jpg,,a/1.wav,a dog,,dog | bark,1.5,3.5,-0.25\r\n" +
		"dog-3,i/x/../3.png,,,,t/3.txt,,,,\r\n"
)

func dogs(t testing.TB) string {
	root := t.TempDir()
	touch(t, root, "i/1.jpg", "i/3.png", "a/1.wav", "v/2.mp4", "t/3.txt", "extra.wav")
	return root
}

func TestManifestForms(t *testing.T) {
	for name, data := range map[string]string{
		"manifest.jsonl": dogsJSONL, "manifest.csv": dogsCSV,
		"manifest.tsv": strings.ReplaceAll(dogsCSV, ",", "\t"), "metadata.csv": dogsCSV,
	} {
		root := dogs(t)
		put(t, root, name, data)
		l := mustList(t, root, sound)
		if l.Kind != "manifest" {
			t.Errorf("%s: taken for %s", name, l.Kind)
		}
		expect(t, l, wantDogs)
		// The file itself, under any name.
		if err := os.Rename(filepath.Join(root, name), filepath.Join(root, "dogs"+filepath.Ext(name))); err != nil {
			t.Fatal(err)
		}
		expect(t, mustList(t, filepath.Join(root, "dogs"+filepath.Ext(name)), sound), strings.Split(wantDogs, "#")[0])
	}
}

// writeParquet writes columns of the types that pandas, DuckDB and Spark give.
func writeParquet(t testing.TB, w *bytes.Buffer) {
	t.Helper()
	alloc := memory.DefaultAllocator
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "key", Type: arrow.BinaryTypes.LargeString},
		{Name: "image", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "video", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}, Nullable: true},
		{Name: "audio", Type: arrow.BinaryTypes.Binary, Nullable: true},
		{Name: "text", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "labels", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true},
		{Name: "start", Type: arrow.PrimitiveTypes.Float32, Nullable: true},
		{Name: "end", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "sync_offset_s", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "nested", Type: arrow.StructOf(arrow.Field{Name: "a", Type: arrow.PrimitiveTypes.Int64}), Nullable: true},
	}, nil)
	b := array.NewRecordBuilder(alloc, schema)
	defer b.Release()
	row := func(key, image, video, audio, text string, labels []string, start, end, sync float64) {
		b.Field(0).(*array.LargeStringBuilder).Append(key)
		for i, v := range []string{image, video, audio, text} {
			if v == "" {
				b.Field(i + 1).AppendNull()
				continue
			}
			switch f := b.Field(i + 1).(type) {
			case *array.StringBuilder:
				f.Append(v)
			case *array.BinaryDictionaryBuilder:
				if err := f.AppendString(v); err != nil {
					t.Fatal(err)
				}
			case *array.BinaryBuilder:
				f.AppendString(v)
			}
		}
		l := b.Field(5).(*array.ListBuilder)
		l.Append(len(labels) > 0)
		for _, x := range labels {
			l.ValueBuilder().(*array.StringBuilder).Append(x)
		}
		if end == 0 {
			for i := 6; i < 9; i++ {
				b.Field(i).AppendNull()
			}
		} else {
			b.Field(6).(*array.Float32Builder).Append(float32(start))
			b.Field(7).(*array.Float64Builder).Append(end)
			b.Field(8).(*array.Float64Builder).Append(sync)
		}
		b.Field(9).AppendNull()
	}
	row("dog-2", "", "v/2.mp4", "", "", []string{"dog"}, 0, 0, 0)
	row("dog-1", "i/1.jpg", "", "a/1.wav", "a dog", []string{"dog", "bark"}, 1.5, 3.5, -0.25)
	row("dog-3", "i/3.png", "", "", "t/3.txt", nil, 0, 0, 0)
	rec := b.NewRecordBatch()
	defer rec.Release()
	pw, err := pqarrow.NewFileWriter(schema, w, parquet.NewWriterProperties(), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	if err := pw.Write(rec); err != nil {
		t.Fatal(err)
	}
	if err := pw.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestManifestParquet(t *testing.T) {
	root := dogs(t)
	var b bytes.Buffer
	writeParquet(t, &b)
	put(t, root, "manifest.parquet", b.String())
	expect(t, mustList(t, root, sound), strings.Replace(wantDogs, "# ", "# manifest.parquet: columns that are not used: nested\n# ", 1))

	for _, damaged := range []string{"", "PAR1", b.String()[:b.Len()/2], b.String()[:b.Len()-8] + "\xff\xff\xff\x7fPAR1"} {
		put(t, root, "manifest.parquet", damaged)
		_, err := List(context.Background(), root, sound)
		wantInput(t, err, "manifest.parquet", "no Parquet")
	}
}

// Paths never leave the manifest's folder, neither by .. nor by links, unless that is allowed.
func TestManifestBorder(t *testing.T) {
	outer := t.TempDir()
	root := filepath.Join(outer, "set")
	touch(t, outer, "secret.wav", "set2/x.wav")
	touch(t, root, "in.wav", "sub/in.wav")
	for name, target := range map[string]string{"link.wav": "../secret.wav", "dir": "..", "fine.wav": "sub/in.wav", "loop.wav": "loop.wav"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	abs, err := filepath.EvalSymlinks(outer)
	if err != nil {
		t.Fatal(err)
	}
	put(t, root, "manifest.csv", "key,audio\n"+strings.ReplaceAll(`a,in.wav
b,sub/../in.wav
c,../secret.wav
d,link.wav
e,dir/secret.wav
f,dir/set/in.wav
g,OUTER/secret.wav
h,OUTER/set/sub/in.wav
i,gone.wav
j,sub
k,fine.wav
l,../set2/x.wav
m,https://example.org/x.wav
n,loop.wav
o,sub/../../secret.wav
p,in.wav/x.wav
`, "OUTER", abs))
	want := `
a audio=in.wav
b audio=in.wav
c audio=../secret.wav !outside
d audio=link.wav !outside
e audio=dir/secret.wav !outside
f audio=dir/set/in.wav
g audio=OUTER/secret.wav !outside
h audio=sub/in.wav
i audio=gone.wav !missing
j audio=sub !missing
k audio=fine.wav
l audio=../set2/x.wav !outside
m audio=https://example.org/x.wav !remote
n audio=loop.wav !missing
o audio=sub/../../secret.wav !outside
p audio=in.wav/x.wav !missing
`
	got := mustList(t, root, Options{})
	got.Notes = nil
	expect(t, got, strings.ReplaceAll(want, "OUTER", abs))
	for _, s := range got.Samples {
		if s.Problem != "" && !strings.HasPrefix(s.ProblemDetail, "manifest.csv:") {
			t.Errorf("%s: %s", s.Key, s.ProblemDetail)
		}
	}
	allowed := mustList(t, root, Options{AllowOutside: true})
	for _, s := range allowed.Samples {
		wantProblem := map[string]string{"i": "missing", "j": "missing", "m": "remote", "n": "missing", "p": "missing"}[s.Key]
		if s.Problem != wantProblem {
			t.Errorf("%s: %q, want %q", s.Key, s.Problem, wantProblem)
		}
		if strings.Contains("cglo", s.Key) && !filepath.IsAbs(s.Parts[0].Path) {
			t.Errorf("%s: a path outside is absolute, not %s", s.Key, s.Parts[0].Path)
		}
	}
}

func TestManifestKeys(t *testing.T) {
	root := t.TempDir()
	touch(t, root, "p.jpg", "q.wav", "r.wav")
	put(t, root, "manifest.jsonl", `{"image":"p.jpg","caption":"one"}
{"image":"p.jpg","caption":"two"}
{"key":"p","caption":"stated"}
{"image":"p.jpg","caption":"three"}
{"audio":"q.wav","start":0,"end":2}
{"audio":"q.wav","start":2,"end":4}
{"caption":"no file"}
{"key":"same","caption":"first"}
{"key":"same","caption":"second"}
{"key":"same","audio":"gone.wav"}
{"key":7,"audio":"r.wav"}
{"label":["a","b"]}
{"audio":".wav"}
`)
	expect(t, mustList(t, root, Options{}), `
.wav audio=.wav !missing
7 audio=r.wav
p text="stated"
p#2 image=p.jpg text="one"
p#3 image=p.jpg text="two"
p#4 image=p.jpg text="three"
q_0 audio=q.wav@0-2
q_2000 audio=q.wav@2-4
row-000000007 text="no file"
row-000000012 [a; b] !empty_row
same text="first"
same#2 text="second" !duplicate_key
same#3 audio=gone.wav !missing
# 2 keys are listed more than once; all but the first fail: same, same
`)
}

// text is a path where it looks like one; of two columns that mean the same the first counts.
func TestManifestText(t *testing.T) {
	root := t.TempDir()
	touch(t, root, "a.txt", "b.wav", "p.jpg")
	put(t, root, "manifest.jsonl", `{"key":"1","text":"a.txt"}
{"key":"2","text":"see a.txt"}
{"key":"3","text":"gone.txt"}
{"key":"4","caption":"a.txt"}
{"key":"5","text_path":"a.txt"}
{"key":"6","text":"said","text_path":"a.txt"}
{"key":"7","file_name":"b.wav","text":"said","caption":"captioned"}
{"key":"8","image":"p.jpg","image_path":"other.jpg","colour":{"any":["thing"]}}
`)
	expect(t, mustList(t, root, Options{}), `
1 text=a.txt
2 text="see a.txt"
3 text=gone.txt !missing
4 text="a.txt"
5 text=a.txt
6 text="said"
7 audio=b.wav text="said"
8 image=p.jpg
# manifest.jsonl: columns that are not used: colour
# manifest.jsonl: 1 value was passed over for another column of the same meaning: image_path
`)
}

func TestManifestLatin1(t *testing.T) {
	for name, data := range map[string]string{
		"manifest.csv":   "key,caption\n1,caf\xe9\n",
		"manifest.jsonl": "{\"key\":\"1\",\"caption\":\"caf\xe9\"}\n",
	} {
		root := t.TempDir()
		put(t, root, name, data)
		l := mustList(t, root, Options{})
		if l.Samples[0].Parts[0].Text != "café" || !strings.Contains(strings.Join(l.Notes, ""), "Latin-1") {
			t.Errorf("%s: %s", name, show(l))
		}
	}
}

func TestManifestErrors(t *testing.T) {
	for _, c := range []struct {
		name, data string
		words      []string
	}{
		{"manifest.csv", "", []string{"manifest.csv is empty", "header"}},
		{"manifest.csv", "key,caption\n", []string{"manifest.csv holds no rows"}},
		{"manifest.csv", "key,sound_file,label\n1,a.wav,x\n", []string{"manifest.csv:1", "no column image", "sound_file"}},
		{"manifest.csv", "key;audio\n1;a.wav\n", []string{"manifest.csv:1", "no column image"}},
		{"manifest.csv", "key,caption\n1,a,b\n", []string{"manifest.csv:2", "3 columns", "header of 2"}},
		{"manifest.csv", "key,audio,start\n1,a.wav,0\n2,a.wav,two\n", []string{"manifest.csv:3", `start "two"`}},
		{"manifest.csv", "key,audio,start,end\n1,a.wav,5,4\n", []string{"manifest.csv:2", "start 5 and end 4"}},
		{"manifest.csv", "key,audio,start\n1,a.wav,-5\n", []string{"manifest.csv:2", "start -5"}},
		{"manifest.csv", "key,audio,sync_offset\n1,a.wav,NaN\n", []string{"manifest.csv:2", `sync_offset "NaN"`}},
		{"manifest.csv", "key,path\n1,a.xyz\n", []string{"manifest.csv:2", `path "a.xyz"`}},
		{"manifest.csv", "key,caption\n1,\"open\n2,b\n", []string{"manifest.csv:2", "quote"}},
		{"manifest.csv", "\x00\x01\x02", []string{"manifest.csv is no text"}},
		{"manifest.jsonl", "", []string{"manifest.jsonl holds no rows"}},
		{"manifest.jsonl", "{\"caption\":\"a\"}\n{\"caption\":\n", []string{"manifest.jsonl:2", "one JSON object a line"}},
		{"manifest.jsonl", "{\"caption\":\"a\"} x\n", []string{"manifest.jsonl:1"}},
		{"manifest.jsonl", "[{\"caption\":\"a\"}]\n", []string{"manifest.jsonl:1", "this is a list"}},
		{"manifest.jsonl", "3\n", []string{"manifest.jsonl:1", "one JSON object a line"}},
		{"manifest.jsonl", "{\"key\":\"1\",\"wav\":\"a.wav\"}\n", []string{"manifest.jsonl", "no row has image"}},
		{"manifest.jsonl", "{\"audio\":[\"a\",\"b\"]}\n", []string{"manifest.jsonl:1", "audio is a list"}},
		{"manifest.jsonl", "{\"audio\":{\"path\":\"a\"}}\n", []string{"manifest.jsonl:1", "audio is {"}},
		{"manifest.jsonl", "{\"caption\":\"a\",\"labels\":[{}]}\n", []string{"manifest.jsonl:1", "labels"}},
		{"manifest.jsonl", "{\"caption\":\"a\",\"start\":true}\n", []string{"manifest.jsonl:1", "start is true"}},
		{"manifest.jsonl", "{\"caption\":\"" + strings.Repeat("a", maxField) + "\"}\n", []string{"manifest.jsonl:1", "more than"}},
	} {
		root := t.TempDir()
		touch(t, root, "a.wav")
		put(t, root, c.name, c.data)
		_, err := List(context.Background(), root, Options{})
		wantInput(t, err, c.words...)
	}
}

// A metadata.csv whose columns name no material is somebody else's: the tree is pairs.
func TestMetadataOfOthers(t *testing.T) {
	root := t.TempDir()
	touch(t, root, "a.wav")
	put(t, root, "metadata.csv", "artist,year\nx,1999\n")
	if l := mustList(t, root, Options{}); l.Kind != "pairs" {
		t.Errorf("taken for %s", l.Kind)
	}
}

func BenchmarkManifest(b *testing.B) {
	root := b.TempDir()
	const n = 20000
	var rows strings.Builder
	for i := range n {
		if i%100 == 0 {
			touch(b, root, fmt.Sprintf("a/%d.wav", i/100))
		}
		fmt.Fprintf(&rows, "{\"key\":\"k%06d\",\"audio\":\"a/%d.wav\",\"caption\":\"number %d\"}\n", i, i/100, i)
	}
	put(b, root, "manifest.jsonl", rows.String())
	b.ReportAllocs()
	for b.Loop() {
		if l := mustList(b, root, sound); len(l.Samples) != n {
			b.Fatal(len(l.Samples))
		}
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(byte(0), []byte(dogsJSONL))
	f.Add(byte(1), []byte(dogsCSV))
	f.Add(byte(2), []byte("key\timage\tstart\n1\ti/1.jpg\t2\n1\t../x\t\n"))
	f.Add(byte(0), []byte(`{"file_name":"i/1.jpg","label":[1,"b",2.5],"sync_offset":-1e3,"text":"t/3.txt"}`))
	f.Add(byte(1), []byte("caption,caption,id\n\"a\"\"b\",caf\xe9,1\n,,1\n"))
	f.Add(byte(1), []byte("id,accel,gyroscope_path,imu,start\n1,i/1.jpg,t/3.txt,,2\n2,i/1.jpg,../x,,\n3,,t/3.txt,,\n4,i/1.jpg,i/1.jpg,,\n"))
	root := dogs(f)
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		name := filepath.Join(root, "m"+[]string{".jsonl", ".csv", ".tsv"}[int(kind)%3])
		if err := os.WriteFile(name, data, 0o666); err != nil {
			t.Fatal(err)
		}
		l, err := List(context.Background(), name, sound)
		if err != nil {
			wantInput(t, err)
			return
		}
		check(t, l)
		for _, s := range l.Samples {
			for _, p := range s.Parts {
				for _, name := range []string{p.Path, p.Gyro} {
					if s.Problem == "" && name != "" && !filepath.IsLocal(filepath.FromSlash(name)) {
						t.Errorf("%s leads out of the folder", name)
					}
				}
			}
		}
	})
}

func FuzzManifestParquet(f *testing.F) {
	var b bytes.Buffer
	writeParquet(f, &b)
	f.Add(b.Bytes())
	f.Add([]byte("PAR1PAR1"))
	root := dogs(f)
	name := filepath.Join(root, "m.parquet")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(name, data, 0o666); err != nil {
			t.Fatal(err)
		}
		l, err := List(context.Background(), name, sound)
		if err != nil {
			wantInput(t, err)
			return
		}
		check(t, l)
	})
}
