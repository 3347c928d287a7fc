package media

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"prep/internal/infile"
)

// A library of the machine may decode sound in place of our own code where it is faster: libmpg123 MP3. It rounds
// otherwise than we do and than other versions of itself, in the last bits of a float32. What a data set was decoded
// by is therefore decided once, when it is planned, and named by what the library makes of a sound that is known
// here: two libraries of one name give one and the same bits.

//go:embed testdata/sound/tone_stereo_22k05.mp3
var probeMP3 []byte

// MP3Library names the library that decodes MP3 here, such as "libmpg123 1c291ca3"; "" when there is none that works.
func (t *Tools) MP3Library() string {
	if t.MPG123 == nil {
		return ""
	}
	return t.librarysBits(probeMP3, "libmpg123")
}

// librarysBits decodes a probe and names the library by the samples' bits.
func (t *Tools) librarysBits(probe []byte, library string) string {
	r, err := t.openSound(infile.New(context.Background(), "probe", bytes.NewReader(probe), int64(len(probe))))
	if err != nil {
		return ""
	}
	s, err := r.Decode(Segment{})
	if err != nil || s.Decoder != library {
		return ""
	}
	var b [4]byte
	sum := crc32.NewIEEE()
	for _, v := range s.Data {
		binary.LittleEndian.PutUint32(b[:], math.Float32bits(v))
		sum.Write(b[:])
	}
	return fmt.Sprintf("%s %08x", library, sum.Sum32())
}
