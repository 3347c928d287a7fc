package picture_test

import (
	"bytes"
	stdjpeg "image/jpeg"
	"os"
	"testing"

	"github.com/disintegration/imaging"

	"prep/internal/media/picture"
	"prep/internal/needs"
	"prep/internal/vision"
)

// BenchmarkPicture measures a JPEG file in memory to 224 x 224 planes, at the sizes of a web photo and of
// a camera's, against the usual way in Go (image/jpeg and disintegration/imaging's CatmullRom, which is
// the same filter) in the same run.
//
//	go test -run '^$' -bench Picture ./internal/media
func BenchmarkPicture(b *testing.B) {
	small, err := os.ReadFile(imageGolden("chelsea_420.jpg"))
	if err != nil {
		b.Fatal(err)
	}
	large, err := os.ReadFile(imageGolden("astronaut_large.jpg"))
	if err != nil {
		b.Fatal(err)
	}
	img, err := imaging.Decode(bytes.NewReader(large))
	if err != nil {
		b.Fatal(err)
	}
	var buf bytes.Buffer
	if err := stdjpeg.Encode(&buf, imaging.Resize(img, 2000, 1500, imaging.CatmullRom), &stdjpeg.Options{Quality: 90}); err != nil {
		b.Fatal(err)
	}
	tools := (&picture.Decoder{Turbo: picture.OpenTurboJPEG()})
	for _, size := range []struct {
		name string
		data []byte
	}{{"500x375", small}, {"2000x1500", buf.Bytes()}} {
		for _, decoder := range []string{"go", "turbo"} {
			b.Run(size.name+"/"+decoder, func(b *testing.B) {
				needs.Tool(b, decoder != "turbo" || tools.Turbo != nil, "libjpeg-turbo's libturbojpeg.so.0 (Debian: apt-get install libturbojpeg0)")
				for b.Loop() {
					p, _, err := tools.DecodePicture(size.data, picture.Options{Decoder: decoder})
					if err != nil {
						b.Fatal(err)
					}
					if _, err := vision.ResizeCrop(p, 224); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(size.name+"/imaging", func(b *testing.B) {
			for b.Loop() {
				img, err := stdjpeg.Decode(bytes.NewReader(size.data))
				if err != nil {
					b.Fatal(err)
				}
				imaging.Fill(img, 224, 224, imaging.Center, imaging.CatmullRom)
			}
		})
		for _, decoder := range []string{"go", "turbo"} {
			b.Run(size.name+"/decode/"+decoder, func(b *testing.B) {
				needs.Tool(b, decoder != "turbo" || tools.Turbo != nil, "libjpeg-turbo's libturbojpeg.so.0 (Debian: apt-get install libturbojpeg0)")
				for b.Loop() {
					if _, _, err := tools.DecodePicture(size.data, picture.Options{Decoder: decoder}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(size.name+"/decode/image_jpeg", func(b *testing.B) {
			for b.Loop() {
				if _, err := stdjpeg.Decode(bytes.NewReader(size.data)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
