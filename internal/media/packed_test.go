package media

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"prep/internal/fault"
)

// QuickTime's packed index (cmov) says what the plain one says; a damaged one is told as such.
func TestPackedIndex(t *testing.T) {
	tools := needFFmpeg(t)
	plain := tools.make(t, "plain.mov", "-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=2", "-f", "lavfi", "-i", "sine=d=2", "-c:v", "mjpeg", "-c:a", "pcm_s16le")
	data, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(data, []byte("moov")) - 4
	size := int(binary.BigEndian.Uint32(data[at:]))
	if at+size != len(data) {
		t.Fatalf("the index lies at %d of %d bytes", at, len(data))
	}
	box := func(name string, body ...[]byte) []byte {
		b := append(make([]byte, 4), name...)
		b = append(b, bytes.Join(body, nil)...)
		binary.BigEndian.PutUint32(b, uint32(len(b)))
		return b
	}
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	if _, err := w.Write(data[at:]); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	write := func(name string, cmvd []byte) string {
		path := filepath.Join(t.TempDir(), name)
		length := binary.BigEndian.AppendUint32(nil, uint32(size))
		file := append(bytes.Clone(data[:at]), box("moov", box("cmov", box("dcom", []byte("zlib")), box("cmvd", length, cmvd)))...)
		if err := os.WriteFile(path, file, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	want, err := tools.ProbeTiming(t.Context(), plain)
	if err != nil {
		t.Fatal(err)
	}
	whole := write("packed.mov", packed.Bytes())
	got, err := tools.ProbeTiming(t.Context(), whole)
	if err != nil || !got.HasVideo || !got.HasAudio || got.VideoSeconds != want.VideoSeconds || got.AudioSeconds != want.AudioSeconds || got.VideoFPS != want.VideoFPS || got.Method != want.Method {
		t.Errorf("%+v, want %+v (%v)", got, want, err)
	}
	v, err := tools.DecodeVideo(t.Context(), whole, got, VideoRequest{Clips: 1})
	if err != nil || v.Clips[0].Frames[1] == nil {
		t.Errorf("%v", err)
	}
	for name, b := range map[string][]byte{"cut.mov": packed.Bytes()[:packed.Len()/2], "none.mov": []byte("nothing packed")} {
		if _, err := tools.ProbeTiming(t.Context(), write(name, b)); fault.ReasonOf(err) != "corrupt_media" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
