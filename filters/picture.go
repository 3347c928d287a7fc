package filters

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"sync"

	"prep/configs"
	"prep/internal/sample"
)

// pictureFields are the columns of the image's quality; docs/metrics.md has their formulas and limits.
func pictureFields() []sample.MetricField {
	return []sample.MetricField{
		{Name: "image_width", Kind: sample.Count, Unit: "px", Doc: "width of the picture file"},
		{Name: "image_height", Kind: sample.Count, Unit: "px", Doc: "height of the picture file"},
		{Name: "image_aspect", Kind: sample.Number, Doc: "longer side over shorter side of the picture file"},
		{Name: "image_laplacian_var", Kind: sample.Number, Doc: "blur: variance of the Laplacian of the stored picture's luma; low is blurred (Pech-Pacheco 2000)"},
		{Name: "image_entropy_bits", Kind: sample.Number, Unit: "bit", Doc: "Shannon entropy of the stored picture's luma levels, 0 to 8"},
		{Name: "image_spread", Kind: sample.Number, Doc: "standard deviation of the stored picture's channel that varies most, levels of 255; near 0 is a single colour"},
		{Name: "image_sha256", Kind: sample.Word, Doc: "SHA-256 of the picture as ImageBind takes it, uint8 [3,224,224], before any mirroring"},
		{Name: "image_phash", Kind: sample.Word, Doc: "64-bit perceptual hash (DCT) of the stored picture; null where image_spread is below 4"},
	}
}

// flatSpread is the spread in levels below which a perceptual hash says nothing: all plain areas are alike.
const flatSpread = 4

// MeasurePicture measures planes r, g, b of size x size as they are stored (224 for ImageBind): what is
// blurred or plain in them is so for the model, whatever the file's size, and a bound means the same for
// every picture. All sums are of integers, so that every machine gets the same figures.
func MeasurePicture(chw []uint8, size int) sample.Metrics {
	m := sample.Metrics{}
	n := size * size
	if size < 32 || len(chw) != 3*n {
		return m
	}
	digest := sha256.Sum256(chw)
	m["image_sha256"] = hex.EncodeToString(digest[:])
	memory := lumas.Get().(*[]uint8)
	defer lumas.Put(memory)
	*memory = slices.Grow((*memory)[:0], n)
	luma := (*memory)[:n]
	lumaOf(luma, chw)
	m["image_laplacian_var"] = laplacianVariance(luma, size)
	m["image_entropy_bits"] = entropy(luma)
	spread := 0.0
	for c := range 3 {
		sum, squares := sumSquares(chw[c*n:][:n])
		spread = max(spread, math.Sqrt(float64(uint64(n)*squares-sum*sum))/float64(n))
	}
	m["image_spread"] = spread
	if spread >= flatSpread {
		m["image_phash"] = fmt.Sprintf("%016x", perceptualHash(luma, size))
	}
	return m
}

// lumas keeps the memory of luma for the next picture.
var lumas = sync.Pool{New: func() any { return new([]uint8) }}

// lumaOf is Pillow's L of planes r, g, b.
func lumaOf(luma, chw []uint8) {
	n := len(luma)
	red, green, blue := chw[:n], chw[n:][:n], chw[2*n:][:n]
	for i := lumaVector(luma, red, green, blue); i < n; i++ {
		luma[i] = uint8((19595*uint32(red[i]) + 38470*uint32(green[i]) + 7471*uint32(blue[i]) + 1<<15) >> 16)
	}
}

// sumSquares is the sum of the samples and that of their squares.
func sumSquares(x []uint8) (sum, squares uint64) {
	n, sum, squares := squaresVector(x)
	for _, v := range x[n:] {
		sum += uint64(v)
		squares += uint64(v) * uint64(v)
	}
	return sum, squares
}

// laplacianVariance is the variance of l(x-1,y) + l(x+1,y) + l(x,y-1) + l(x,y+1) - 4 l(x,y) over all pixels
// but the border's.
func laplacianVariance(luma []uint8, size int) float64 {
	var sum, squares int64
	for y := 1; y < size-1; y++ {
		up, row, down := luma[(y-1)*size:][:size], luma[y*size:][:size], luma[(y+1)*size:][:size]
		n, s, q := laplacianVector(up, row, down)
		for x := n + 1; x < size-1; x++ {
			v := int64(up[x]) + int64(down[x]) + int64(row[x-1]) + int64(row[x+1]) - 4*int64(row[x])
			s += v
			q += v * v
		}
		sum, squares = sum+s, squares+q
	}
	n := int64(size-2) * int64(size-2)
	return float64(n*squares-sum*sum) / float64(n*n)
}

// entropy is -sum p log2 p of the levels, rounded to a millionth: the last bits of a logarithm are the machine's own.
func entropy(luma []uint8) float64 {
	// Four tables: neighbours are often alike, and a count would wait for the one before.
	var counts [4][256]int32
	whole := len(luma) &^ 3
	for i := 0; i < whole; i += 4 {
		four := luma[i : i+4 : i+4]
		counts[0][four[0]]++
		counts[1][four[1]]++
		counts[2][four[2]]++
		counts[3][four[3]]++
	}
	for _, l := range luma[whole:] {
		counts[0][l]++
	}
	h := 0.0
	for l := range 256 {
		if k := counts[0][l] + counts[1][l] + counts[2][l] + counts[3][l]; k > 0 {
			p := float64(k) / float64(len(luma))
			h -= float64(p * math.Log2(p))
		}
	}
	return math.Round(max(h, 0)*1e6) / 1e6
}

const (
	hashSide  = 32 // the picture is averaged to so many squares a side
	hashTerms = 8  // and so many frequencies a side are kept, the lowest
)

// hashCosines is cos(pi (2x+1) k / 64) in 14-bit fixed point.
var hashCosines = func() (t [hashTerms][hashSide]int64) {
	for k := range t {
		for x := range t[k] {
			t[k][x] = int64(math.Round(math.Cos(math.Pi*float64((2*x+1)*k)/(2*hashSide)) * (1 << 14)))
		}
	}
	return
}()

// perceptualHash is the hash known as pHash (Zauner 2010; the imagehash package's phash): luma averaged to
// 32 x 32, its two-dimensional DCT, of which the 8 x 8 lowest frequencies give a bit each, set where the
// coefficient is above their median; row by row, the first in the highest bit. Sums are of integers.
func perceptualHash(luma []uint8, size int) uint64 {
	sums := cellSums(luma, size)
	var across [hashSide][hashTerms]int64
	for y := range sums {
		for k := range hashTerms {
			for x, c := range hashCosines[k] {
				across[y][k] += c * sums[y][x]
			}
		}
	}
	var terms [hashTerms * hashTerms]int64
	for v := range hashTerms {
		for y, c := range hashCosines[v] {
			for k := range hashTerms {
				terms[v*hashTerms+k] += c * across[y][k]
			}
		}
	}
	sorted := terms
	slices.Sort(sorted[:])
	middle := sorted[len(sorted)/2-1] + sorted[len(sorted)/2] // twice the median
	hash := uint64(0)
	for i, v := range terms {
		if 2*v > middle {
			hash |= 1 << (63 - i)
		}
	}
	return hash
}

// cellSums adds up the samples of each square of size/32 a side.
func cellSums(luma []uint8, size int) (sums [hashSide][hashSide]int64) {
	cell := size / hashSide
	wide := hashSide * cell
	// A row of cells at a time: first down, eight columns at a time in sums of 16 bits, of the even ones and the odd ones.
	words := make([][2]uint64, wide/8)
	for y := range hashSide {
		for from := 0; from < cell; from += 16 { // more than 257 samples would be too much for 16 bits
			clear(words)
			for r := y*cell + from; r < y*cell+min(from+16, cell); r++ {
				row := luma[r*size:][:wide]
				for i := range words {
					const even = 0x00ff00ff00ff00ff
					v := binary.LittleEndian.Uint64(row[8*i:])
					words[i][0] += v & even
					words[i][1] += v >> 8 & even
				}
			}
			for i, w := range words {
				for k := range 8 {
					sums[y][(8*i+k)/cell] += int64(uint16(w[k%2] >> (k / 2 * 16)))
				}
			}
		}
	}
	return sums
}

// pictureRules are the rules over pictures.
func pictureRules(cfg configs.Filters) []Rule {
	return []Rule{
		{"image_side", "image_width", cfg.ImageSide, judgeSide},
		{"image_aspect", "image_aspect", cfg.ImageAspect, bounded("image_aspect", "narrow_image", "wide_image", "longer over shorter side is %.3g")},
		{"image_blur", "image_laplacian_var", cfg.ImageBlur, bounded("image_laplacian_var", "blurred_image", "noisy_image", "the variance of the Laplacian is %.3g")},
		{"image_entropy", "image_entropy_bits", cfg.ImageEntropy, bounded("image_entropy_bits", "low_entropy_image", "high_entropy_image", "the entropy is %.3g bit")},
		{"image_spread", "image_spread", cfg.ImageSpread, bounded("image_spread", "single_color_image", "contrasty_image", "the colours spread over %.3g levels")},
	}
}

// judgeSide looks at the shorter side.
func judgeSide(cfg configs.Rule, m sample.Metrics) Verdict {
	w, ok := m.Number("image_width")
	h, also := m.Number("image_height")
	side := min(w, h)
	switch {
	case !ok || !also:
		return Verdict{} // no picture
	case cfg.Min != nil && side < *cfg.Min:
		return Verdict{Drop: true, Reason: "small_image", Detail: fmt.Sprintf("the picture is %g x %g pixels; its shorter side is below %g", w, h, *cfg.Min)}
	case cfg.Max != nil && side >= *cfg.Max:
		return Verdict{Drop: true, Reason: "large_image", Detail: fmt.Sprintf("the picture is %g x %g pixels; its shorter side is not below %g", w, h, *cfg.Max)}
	}
	return Verdict{}
}

// bounded judges a metric that is there whenever there is a picture.
func bounded(metric, low, high, says string) func(configs.Rule, sample.Metrics) Verdict {
	return func(cfg configs.Rule, m sample.Metrics) Verdict {
		v, ok := m.Number(metric)
		switch {
		case !ok:
			return Verdict{}
		case cfg.Min != nil && v < *cfg.Min:
			return Verdict{Drop: true, Reason: low, Detail: fmt.Sprintf(says+", below %g", v, *cfg.Min)}
		case cfg.Max != nil && v >= *cfg.Max:
			return Verdict{Drop: true, Reason: high, Detail: fmt.Sprintf(says+", not below %g", v, *cfg.Max)}
		}
		return Verdict{}
	}
}
