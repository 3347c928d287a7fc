package media

import (
	"bytes"

	"prep/internal/fault"
	"prep/internal/infile"
	"prep/internal/media/magic"
)

// What the content of a sound file says it is. The names are those of the registry in formats.go.
type soundKind uint8

const (
	kindOther soundKind = iota // ffmpeg's business
	kindWAV
	kindAIFF
	kindAU
	kindSPHERE
	kindFLAC
	kindMP3
	kindVorbis
	kindOpus
	kindOggFLAC
)

type content struct {
	kind   soundKind
	name   string // the registry's name of the format, for people
	offset int64  // where the format's own bytes begin: after an ID3 tag
}

// sniffLength is how far into a file a first MPEG audio frame is looked for: players write padding and
// leftovers of other tags before it.
const sniffLength = 128 << 10

// sniff tells the format by the first bytes. What it does not know is left to ffmpeg when the file is named
// like something of ffmpeg's, and is an error of reason not_audio otherwise: a .wav of random bytes must
// not depend on what some version of ffmpeg takes it for.
func sniff(in *infile.File) (content, error) {
	head, err := in.Head(0, 4096)
	if err != nil {
		return content{}, err
	}
	offset := int64(0)
	for range 4 { // an ID3 tag can be followed by another
		n := id3Length(head)
		if n == 0 {
			break
		}
		offset += n
		if head, err = in.Head(offset, 4096); err != nil {
			return content{}, err
		}
	}
	at := func(i int, s string) bool { return len(head) >= i+len(s) && string(head[i:i+len(s)]) == s }
	switch {
	case offset == 0 && (at(0, "RIFF") || at(0, "RF64") || at(0, "BW64") || at(0, "RIFX")) && at(8, "WAVE"):
		return content{kindWAV, "WAV", 0}, nil
	case offset == 0 && at(0, "FORM") && (at(8, "AIFF") || at(8, "AIFC")):
		return content{kindAIFF, "AIFF", 0}, nil
	case offset == 0 && (at(0, ".snd") || at(0, "dns.")):
		return content{kindAU, "AU", 0}, nil
	case offset == 0 && at(0, "NIST_1A\n"):
		return content{kindSPHERE, "SPHERE", 0}, nil
	case at(0, "fLaC"):
		return content{kindFLAC, "FLAC", offset}, nil
	case offset == 0 && at(0, "OggS"):
		switch codec := oggCodec(head); codec {
		case "Vorbis":
			return content{kindVorbis, "Ogg", 0}, nil
		case "Opus":
			return content{kindOpus, "Opus", 0}, nil
		case "FLAC":
			return content{kindOggFLAC, "Ogg", 0}, nil
		default:
			return content{kindOther, "Ogg " + codec, 0}, nil
		}
	}
	if name := magic.Foreign(head); name != "" {
		return content{kindOther, name, 0}, nil
	}
	for _, f := range unread {
		if offset == 0 && at(f.at, f.magic) {
			return content{}, fault.Unsupportedf("unsupported_codec", "%s: %s, which nothing here reads; convert it to WAV (sndfile-convert IN OUT.wav, of Debian's sndfile-programs)", in.Path, f.name)
		}
	}
	if head, err = in.Head(offset, sniffLength); err != nil {
		return content{}, err
	}
	if i := firstMPEGFrame(head, offset+int64(len(head)) == in.Size); i >= 0 {
		return content{kindMP3, "MP3", offset + int64(i)}, nil
	}
	if NeedsFFmpeg(in.Path) {
		f, _ := FormatOf(in.Path)
		return content{kindOther, f.Name, 0}, nil
	}
	return content{}, fault.Corruptf("not_audio", "%s: not a sound file that is known here (it begins with %s)", in.Path, magic.Quote(head))
}

// unread are forms of sound that libsndfile reads, and neither Go code nor ffmpeg.
var unread = []struct {
	at          int
	magic, name string
}{
	{0, "MATLAB 5.0 MAT-file", "a MATLAB file"},
	{20, "samplerate\x00", "a MATLAB file"}, // version 4, as libsndfile and GNU Octave write it
	{0, "Extended Instrument: ", "a FastTracker instrument (XI)"},
	{0, "ALawSoundFile**\x00", "a Psion sound (WVE)"}, // ffmpeg 5.1 does not know its own form again
}

// id3Length is the length of an ID3v2 tag at the start of b, 0 if there is none. The size has seven bits
// in each byte; a set top bit means that this is no tag.
func id3Length(b []byte) int64 {
	if len(b) < 10 || string(b[:3]) != "ID3" || (b[6]|b[7]|b[8]|b[9])&0x80 != 0 {
		return 0
	}
	n := int64(b[6])<<21 | int64(b[7])<<14 | int64(b[8])<<7 | int64(b[9])
	n += 10
	if b[5]&0x10 != 0 { // footer
		n += 10
	}
	return n
}

// oggCodec names the codec of the first packet of an Ogg file.
func oggCodec(head []byte) string {
	if len(head) < 28 {
		return "stream"
	}
	payload := head[min(len(head), 27+int(head[26])):]
	for _, c := range []struct{ magic, name string }{
		{"\x01vorbis", "Vorbis"}, {"OpusHead", "Opus"}, {"\x7fFLAC", "FLAC"}, {"Speex   ", "Speex"},
		{"\x80theora", "video"}, {"fishead", "stream"},
	} {
		if bytes.HasPrefix(payload, []byte(c.magic)) {
			return c.name
		}
	}
	return "stream"
}
