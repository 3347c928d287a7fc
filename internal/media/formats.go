package media

import (
	"path/filepath"
	"strings"

	"prep/internal/sample"
)

// Format is one row of the registry: what a file-name extension stands for. The extension only decides
// which part of a sample a file is and whether ffmpeg should be there before a run starts; how a file is
// decoded is decided by its content.
type Format struct {
	Extension   string // lower case, with the dot
	Modality    sample.Modality
	Name        string // for people
	NeedsFFmpeg bool   // no decoder of ours or of a Go library reads it
}

// Formats is the one table of extensions, in the order of the modalities. A container that can hold
// pictures is video, also when a given file holds sound only.
func Formats() []Format { return append([]Format(nil), formats...) }

var formats = []Format{
	{".jpg", sample.Image, "JPEG", false},
	{".jpeg", sample.Image, "JPEG", false},
	{".jpe", sample.Image, "JPEG", false},
	{".jfif", sample.Image, "JPEG", false},
	{".png", sample.Image, "PNG", false},
	{".webp", sample.Image, "WebP", false},
	{".gif", sample.Image, "GIF", false},
	{".bmp", sample.Image, "BMP", false},
	{".tif", sample.Image, "TIFF", false},
	{".tiff", sample.Image, "TIFF", false},
	{".ppm", sample.Image, "PPM", false},
	{".pgm", sample.Image, "PGM", false},
	{".pbm", sample.Image, "PBM", false},
	{".pnm", sample.Image, "PNM", false},
	{".avif", sample.Image, "AVIF", true},
	{".heic", sample.Image, "HEIC", true},
	{".heif", sample.Image, "HEIC", true},
	{".hif", sample.Image, "HEIC", true}, // cameras'

	{".mp4", sample.Video, "MP4", true},
	{".m4v", sample.Video, "MP4", true},
	{".mov", sample.Video, "QuickTime", true},
	{".qt", sample.Video, "QuickTime", true},
	{".3gp", sample.Video, "3GPP", true},
	{".3g2", sample.Video, "3GPP2", true},
	{".mkv", sample.Video, "Matroska", true},
	{".webm", sample.Video, "WebM", true},
	{".avi", sample.Video, "AVI", true},
	{".mpg", sample.Video, "MPEG program stream", true},
	{".mpeg", sample.Video, "MPEG program stream", true},
	{".vob", sample.Video, "MPEG program stream", true},
	{".ts", sample.Video, "MPEG transport stream", true},
	{".mts", sample.Video, "MPEG transport stream", true},
	{".m2ts", sample.Video, "MPEG transport stream", true},
	{".flv", sample.Video, "Flash video", true},
	{".wmv", sample.Video, "Windows Media video", true},
	{".asf", sample.Video, "Windows Media video", true},
	{".ogv", sample.Video, "Ogg video", true},

	{".wav", sample.Audio, "WAV", false},
	{".wave", sample.Audio, "WAV", false},
	{".bwf", sample.Audio, "WAV", false},
	{".rf64", sample.Audio, "WAV", false},
	{".flac", sample.Audio, "FLAC", false},
	{".mp3", sample.Audio, "MP3", false},
	{".ogg", sample.Audio, "Ogg", false}, // Vorbis, Opus, FLAC; Speex inside is found by content and needs ffmpeg
	{".oga", sample.Audio, "Ogg", false},
	{".aif", sample.Audio, "AIFF", false},
	{".aiff", sample.Audio, "AIFF", false},
	{".aifc", sample.Audio, "AIFF", false},
	{".au", sample.Audio, "AU", false},
	{".snd", sample.Audio, "AU", false},
	{".sph", sample.Audio, "SPHERE", false},
	{".nist", sample.Audio, "SPHERE", false},
	{".opus", sample.Audio, "Opus", false},
	{".m4a", sample.Audio, "MPEG-4 audio", true},
	{".m4b", sample.Audio, "MPEG-4 audio", true},
	{".aac", sample.Audio, "AAC", true},
	{".ac3", sample.Audio, "AC-3", true},
	{".eac3", sample.Audio, "E-AC-3", true},
	{".amr", sample.Audio, "AMR", true},
	{".mka", sample.Audio, "Matroska audio", true},
	{".weba", sample.Audio, "WebM audio", true},
	{".wma", sample.Audio, "Windows Media audio", true},
	{".mp2", sample.Audio, "MPEG audio layer II", true},
	{".caf", sample.Audio, "Core Audio", true},
	{".w64", sample.Audio, "Wave64", true},
	{".wv", sample.Audio, "WavPack", true},
	{".ape", sample.Audio, "Monkey's Audio", true},
	{".tta", sample.Audio, "True Audio", true},
	{".mpc", sample.Audio, "Musepack", true},
	{".spx", sample.Audio, "Speex", true},
	{".dts", sample.Audio, "DTS", true},
	{".voc", sample.Audio, "Creative Voice", true},

	{".txt", sample.Text, "text", false},
	{".caption", sample.Text, "text", false},
}

var formatByExtension = func() map[string]*Format {
	m := make(map[string]*Format, len(formats))
	for i := range formats {
		m[formats[i].Extension] = &formats[i]
	}
	return m
}()

// FormatOf returns the registry's row for a path or file name, by its extension without regard to case.
func FormatOf(path string) (Format, bool) {
	f, ok := formatByExtension[strings.ToLower(filepath.Ext(path))]
	if !ok {
		return Format{}, false
	}
	return *f, true
}

// ModalityOf tells what a file is by its name; false when the extension is not in the registry.
func ModalityOf(path string) (sample.Modality, bool) {
	f, ok := FormatOf(path)
	return f.Modality, ok
}

// NeedsFFmpeg reports whether a file of this name cannot be read without ffmpeg, for the check before a
// run. A file whose content is not what its name says may need it all the same.
func NeedsFFmpeg(path string) bool {
	f, _ := FormatOf(path)
	return f.NeedsFFmpeg
}
