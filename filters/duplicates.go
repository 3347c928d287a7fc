package filters

import (
	"encoding/hex"
	"fmt"
	"math/bits"
	"strconv"

	"prep/configs"
	"prep/internal/sample"
)

// Duplicates finds samples whose pictures occurred before: the same stored picture (image_sha256), or one
// that looks the same (image_phash in few bits another). It compares across a whole data set, so it is for
// who sees the samples one after the other in the listing's order: validate, not the shard tasks of ingest,
// which know nothing of each other. Of what is alike the first stays.
//
// A hash is kept in four tables, one for each 16 bits of it: two hashes that differ in at most three bits
// agree in one of the four. Memory is about 50 bytes for each picture that is like none before.
type Duplicates struct {
	Exact, Near int64 // pictures found to be like an earlier one

	cfg   configs.Duplicates
	seen  map[[16]byte]struct{}
	bands [4]map[uint16][]uint64
}

// NewDuplicates begins with an empty set.
func NewDuplicates(cfg configs.Duplicates) *Duplicates {
	d := &Duplicates{cfg: cfg, seen: map[[16]byte]struct{}{}}
	for i := range d.bands {
		d.bands[i] = map[uint16][]uint64{}
	}
	return d
}

// Judge looks at one sample after the other. Its verdict drops as the configuration says; without a picture
// there is nothing to say.
func (d *Duplicates) Judge(m sample.Metrics) Verdict {
	digest, err := hex.DecodeString(m.Word("image_sha256"))
	if err != nil || len(digest) < 16 {
		return Verdict{}
	}
	key := [16]byte(digest)
	if _, found := d.seen[key]; found {
		d.Exact++
		return Verdict{Rule: "duplicates", Drop: d.cfg.Images != "keep", Reason: "duplicate_image", Detail: "the same picture occurs earlier"}
	}
	d.seen[key] = struct{}{}
	word := m.Word("image_phash")
	hash, err := strconv.ParseUint(word, 16, 64)
	if err != nil {
		return Verdict{}
	}
	for i := range d.bands {
		for _, other := range d.bands[i][uint16(hash>>(16*i))] {
			if n := bits.OnesCount64(hash ^ other); n <= d.cfg.Distance {
				d.Near++
				return Verdict{Rule: "duplicates", Drop: d.cfg.Images == "drop", Reason: "near_duplicate_image",
					Detail: fmt.Sprintf("a picture that differs in %d of 64 bits of its perceptual hash occurs earlier", n)}
			}
		}
	}
	for i := range d.bands {
		k := uint16(hash >> (16 * i))
		d.bands[i][k] = append(d.bands[i][k], hash)
	}
	return Verdict{}
}
