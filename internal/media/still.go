package media

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"

	"prep/internal/fault"
	"prep/internal/media/picture"
	"prep/internal/vision"
)

// DecodePicture is [picture.Decoder.DecodePicture], and decodes AVIF and HEIC too, by ffmpeg. Further errors:
// needs_ffmpeg, unsupported_codec (an ffmpeg without a decoder of AV1 or HEVC), decode_timeout, decoder_killed.
//
// ffmpeg sees coded pictures alone, through a pipe; what the file's boxes say of size, tiles, crop, opacity and
// orientation is read and done in Go. So it makes no difference that ffmpeg before 7 reads no HEIC, and that
// some versions give one tile of a picture for all of it.
func (t *Tools) DecodePicture(ctx context.Context, data []byte, o picture.Options) (*vision.Picture, picture.Info, error) {
	if !picture.IsHEIF(data) {
		return t.Decoder.DecodePicture(data, o)
	}
	return t.decodeHEIF(ctx, data, o)
}

// DecodeCrop is [picture.Decoder.DecodeCrop] with the formats of DecodePicture.
func (t *Tools) DecodeCrop(ctx context.Context, data []byte, o picture.Options, size int) ([]uint8, picture.Info, error) {
	if !picture.IsHEIF(data) {
		return t.Decoder.DecodeCrop(data, o, size)
	}
	pix, info, err := t.decodeHEIF(ctx, data, o)
	if err != nil {
		return nil, info, err
	}
	chw, err := vision.ResizeCrop(pix, size)
	if err != nil {
		return nil, info, fault.Corruptf("corrupt_picture", "%s: %w", info.Format, err)
	}
	return chw, info, nil
}

func (t *Tools) decodeHEIF(ctx context.Context, data []byte, o picture.Options) (pix *vision.Picture, info picture.Info, err error) {
	info = picture.Info{Format: "HEIF"}
	defer func() {
		if r := recover(); r != nil { // as DecodePicture does: a hostile file costs itself
			if _, ok := r.(runtime.Error); !ok {
				panic(r)
			}
			pix, err = nil, fault.Corruptf("corrupt_picture", "%s: the data is damaged (%v)", info.Format, r)
		}
	}()
	h, err := picture.ReadHEIF(data, o)
	if err != nil {
		return nil, info, err
	}
	info = h.Info
	if t.FFmpeg == "" {
		return nil, info, needsFFmpeg(info.Format, "ffmpeg", "the picture")
	}
	colour, alpha, err := t.decodeParts(ctx, h)
	if err != nil {
		return nil, info, err
	}
	return h.Finish(colour, alpha, o)
}

// decodeParts decodes the whole colours and opacity of a picture, the latter nil for none.
func (t *Tools) decodeParts(ctx context.Context, h *picture.HEIF) (colour, alpha *vision.Picture, err error) {
	var planes picture.Planes
	s := stills{tools: t, format: h.Info.Format}
	wantRGB := false
	switch {
	case h.Colour == nil:
		colour = h.Background()
		for _, layer := range h.Layers {
			c, a, err := t.decodeParts(ctx, layer.HEIF)
			if err != nil {
				return nil, nil, err
			}
			if err := layer.Lay(colour, c, a); err != nil {
				return nil, nil, err
			}
		}
	case h.Colour.AsPlanes():
		planes = h.CanvasPlanes(h.Colour)
		s.addPlanes(h.Colour, func(r *bufio.Reader) error { return h.ReadTiles(h.Colour, r, planes) })
	default:
		colour, wantRGB = h.Canvas(3), h.Colour.Matrix == 0
		s.add(h.Colour, yuvToRGB(h.Colour), "ppm", func(tile *vision.Picture) error { return h.Place(h.Colour, colour, tile) })
	}
	if h.Alpha != nil {
		alpha = h.Canvas(1)
		// Opacity is the luma, whatever range it is said to have, as libheif takes it.
		s.add(h.Alpha, "extractplanes=y,format=gray", "pgm", func(tile *vision.Picture) error { return h.Place(h.Alpha, alpha, tile) })
	}
	if len(s.streams) > 0 {
		if err := s.run(ctx, wantRGB); err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return nil, nil, err
		}
	}
	if colour == nil {
		colour = h.Colour.RGB(planes)
	}
	return colour, alpha, nil
}

// yuvToRGB is the conversion of colours with what the file says of them: chroma to the full size first, as the
// libraries do it that Pillow reads these files by, then to RGB. libavif interpolates chroma; libheif repeats
// it. With the same choice pixels are theirs to a level or two. ffmpeg is told where it would do otherwise: at odd
// sides, of grey, and of a range that boxes or stream state.
func yuvToRGB(s *picture.HEIFStream) string {
	const exact = "accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"
	chroma := "bilinear"
	if s.Codec == "hevc" {
		chroma = "neighbor"
	}
	rgb := "scale=iw:ih:flags=" + chroma + "+" + exact
	// Of ITU-T H.273 as swscale calls them. 2, and what the stream leaves open too, is BT.601 to swscale, as to
	// libheif and libavif. 0 is RGB, which is not converted.
	if name := map[int]string{1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020"}[s.Matrix]; name != "" {
		rgb += ":in_color_matrix=" + name
	}
	// The range is converted with the colours and not before: levels beyond the limited range's white belong to
	// colours within the gamut.
	same := ":out_range=pc" // what the stream says is only known to ffmpeg
	if s.FullRange >= 0 {
		name := [2]string{"tv", "pc"}[s.FullRange]
		rgb += ":in_range=" + name
		same = ":in_range=" + name + ":out_range=" + name
	}
	switch odd := s.TileWidth%2 != 0 && s.ChromaX == 2 || s.TileHeight%2 != 0 && s.ChromaY == 2; {
	case s.Grey && s.FullRange == 0: // swscale takes grey for the full range whatever it is told
		return "extractplanes=y,format=gray,lut=c0='clip((val-16)*255/219+0.5,0,255)',format=rgb24"
	case chroma == "neighbor":
	case odd && !s.Grey:
		// swscale stretches the chroma of an odd side over it: two columns of it are to be four, less one.
		format := "yuv444p"
		if s.Bits > 8 {
			format += strconv.Itoa(s.Bits)
		}
		double := func(from, to string) string {
			// A plane's levels stay what they are, whatever range the picture has.
			f := fmt.Sprintf("[%s]scale=iw*%d:ih*%d:flags=%s+%s:in_range=pc:out_range=pc,setsar=1", from, s.ChromaX, s.ChromaY, chroma, exact)
			if s.ChromaY == 2 && s.TileHeight%2 != 0 {
				f += ",crop=iw:ih-1:0:0"
			}
			switch {
			case s.ChromaX != 2 || s.TileWidth%2 == 0:
			case s.TileWidth == 1:
				f += ",crop=1:ih:0:0"
			default: // libavif's last column is the last chroma and no mixture: the one too many
				f += fmt.Sprintf(",split[%[1]s1][%[1]s2];[%[1]s1]crop=iw-2:ih:0:0[%[1]s3];[%[1]s2]crop=1:ih:iw-1:0[%[1]s4];[%[1]s3][%[1]s4]hstack", from)
			}
			return f + "[" + to + "];"
		}
		if s.FullRange < 0 { // swscale's own answer, which the joined planes do not carry
			rgb += ":in_range=tv"
		}
		rgb = "extractplanes=y+u+v[y][u][v];" + double("u", "U") + double("v", "V") + "[y]setsar=1[Y];[Y][U][V]mergeplanes=mapping=0x001020:format=" + format + "," + rgb
	default: // swscale interpolates chroma between lines only on the way to a format that has it
		rgb = "scale=iw:ih:flags=" + chroma + "+" + exact + same + ",format=yuv444p|yuv444p10|yuv444p12|gbrp|gbrp10|gbrp12|gray|gray10|gray12," + rgb
	}
	return rgb + ",format=rgb24"
}

// stills is one run of ffmpeg over streams in memory.
type stills struct {
	tools   *Tools
	format  string // for messages
	streams []*picture.HEIFStream
	outputs []string // arguments
	read    []func(*bufio.Reader) error
}

// add has a stream decoded to PPM or PGM pictures.
func (s *stills) add(stream *picture.HEIFStream, filter, encoder string, take func(*vision.Picture) error) {
	s.addOutput(stream, []string{"-vf", filter, "-c:v", encoder, "-f", "image2pipe"}, func(r *bufio.Reader) error {
		var spare []byte
		for {
			tile, err := readPNM(s.format, r, spare, framePixels(stream))
			if err != nil || tile == nil {
				return err
			}
			if err := take(tile); err != nil {
				return err
			}
			spare = tile.Pix
		}
	})
}

// addPlanes has a stream decoded to its planes as they are, in YUV4MPEG2.
func (s *stills) addPlanes(stream *picture.HEIFStream, read func(*bufio.Reader) error) {
	s.addOutput(stream, []string{"-c:v", "wrapped_avframe", "-f", "yuv4mpegpipe"}, read)
}

func (s *stills) addOutput(stream *picture.HEIFStream, arguments []string, read func(*bufio.Reader) error) {
	n := len(s.streams)
	pipe := "pipe:1"
	if n > 0 {
		pipe = "pipe:" + strconv.Itoa(n+2)
	}
	s.outputs = append(s.outputs, "-map", fmt.Sprintf("%d:v:0", n), "-vsync", "passthrough", "-threads", "1")
	s.outputs = append(append(s.outputs, arguments...), pipe)
	s.streams = append(s.streams, stream)
	s.read = append(s.read, read)
}

func (s *stills) run(ctx context.Context, wantRGB bool) error {
	args := []string{"-nostdin", "-hide_banner", "-nostats", "-v", "level+info", "-max_alloc", strconv.Itoa(maxAllocation)}
	var inputs [][]byte
	for i, stream := range s.streams {
		demuxer := "ivf"
		if stream.Codec == "hevc" {
			demuxer = "hevc"
		}
		args = append(args, "-threads", "1", "-flags:v", "+bitexact", "-max_pixels", strconv.Itoa(framePixels(stream)),
			"-protocol_whitelist", "pipe", "-f", demuxer, "-i", "pipe:"+strconv.Itoa(2+len(s.streams)+i))
		inputs = append(inputs, stream.Data)
	}
	p := process{program: s.tools.FFmpeg, args: append(args, s.outputs...), limit: s.tools.timeLimit(), memory: s.tools.processBytes(),
		outputs: len(s.streams), inputs: inputs}
	text, err := p.run(ctx, func(i int, r io.Reader) error { return s.read[i](bufio.NewReaderSize(r, 1<<16)) })
	switch {
	case strings.Contains(text, "hardware accelerated AV1"), strings.Contains(text, "no decoder found for"), strings.Contains(text, "Decoding requested, but no decoder"):
		return fault.Unsupportedf("unsupported_codec", "%s: this ffmpeg has no decoder of %s; install one that has (Debian's does), or convert the file to PNG first", s.format, s.streams[0].Codec)
	case err != nil:
		err = sayWhy(s.format, "", "ffmpeg", text, err)
		if fault.ReasonOf(err) == "corrupt_media" {
			err = fault.Corruptf("corrupt_picture", "%w", err)
		}
		return err
	case problemLine.MatchString(text):
		return fault.Corruptf("corrupt_picture", "%s: damaged: %s", s.format, firstProblem(text))
	case wantRGB && !strings.Contains(text, ", gbr"):
		return fault.Unsupportedf("unsupported_picture", "%s: the file says RGB and its stream does not; convert the file to PNG first", s.format)
	}
	return nil
}

// framePixels bounds one decoded frame: the tile that the file states, and the blocks that fill it up before they
// are cut off again.
func framePixels(s *picture.HEIFStream) int { return (s.TileWidth + 128) * (s.TileHeight + 128) }
