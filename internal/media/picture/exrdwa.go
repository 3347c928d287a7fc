package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"prep/internal/fault"
)

// How DWA keeps a channel (OpenEXR, ImfDwaCompressor.cpp): what is no colour and no opacity is deflated as it is.
const (
	dwaDeflated = 0
	dwaLossy    = 1 // cosine transform
	dwaRuns     = 2
)

// dwaRule says how channels of a name and type are kept.
type dwaRule struct {
	suffix string // of the channel's name, behind its last point
	kind   uint32
	scheme int
	fold   bool // whatever the case
}

// dwaLegacy are the rules of files that state none: those of version 1.
var dwaLegacy = func() (rules []dwaRule) {
	for _, name := range []string{"r", "red", "g", "grn", "green", "b", "blu", "blue", "y", "by", "ry"} {
		rules = append(rules, dwaRule{name, 1, dwaLossy, true}, dwaRule{name, 2, dwaLossy, true})
	}
	for kind := range uint32(3) {
		rules = append(rules, dwaRule{"a", kind, dwaRuns, true})
	}
	return rules
}()

// dwaSizes are the eleven numbers that a block begins with; of these count:
const (
	dwaVersion = iota
	dwaPlain   // bytes of the deflated channels, unpacked
	dwaPacked  // and packed
	dwaSizes   = 11
)

// exrDWA takes a channel out of a block that DWA compressed, if it is one that is kept without loss: planes of those
// channels one after the other, deflated.
func exrDWA(b []byte, channels []exrChannel, channel int, r rectangle) ([]byte, error) {
	if len(b) < 8*dwaSizes {
		return nil, errEXRSize
	}
	var head [dwaSizes]uint64
	for i := range head {
		head[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	b = b[8*dwaSizes:]
	rules := dwaLegacy
	switch {
	case head[dwaVersion] > 2:
		return nil, fault.Unsupportedf("unsupported_grid", "version %d of DWA is not known", head[dwaVersion])
	case head[dwaVersion] == 2:
		var err error
		if rules, b, err = dwaRules(b); err != nil {
			return nil, err
		}
	}
	var from, all int64 // of the deflated channels
	for i, c := range channels {
		scheme := dwaDeflated
		last := c.name[strings.LastIndexByte(c.name, '.')+1:]
		for _, rule := range rules {
			if c.kind == rule.kind && (last == rule.suffix || rule.fold && strings.EqualFold(last, rule.suffix)) {
				scheme = rule.scheme
			}
		}
		if i == channel {
			if scheme != dwaDeflated {
				return nil, fault.Unsupportedf("unsupported_grid", "the channel %s is kept as a picture's, with loss, by DWA; save it with ZIP, PIZ or none", c.name)
			}
			from = all
		}
		if scheme == dwaDeflated {
			all += c.bytes() * r.width * r.height
		}
	}
	if head[dwaPlain] != uint64(all) || head[dwaPacked] > uint64(len(b)) {
		return nil, errEXRSize
	}
	raw, err := exrInflate(b[:head[dwaPacked]], all)
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) != all {
		return nil, errEXRSize
	}
	return raw[from:][:channels[channel].bytes()*r.width*r.height], nil
}

// dwaRules reads the rules of a block: a length, and of each rule a name, how and of which type.
func dwaRules(b []byte) (rules []dwaRule, rest []byte, err error) {
	broken := fmt.Errorf("its rules for channels are damaged")
	if len(b) < 2 {
		return nil, nil, broken
	}
	n := int(binary.LittleEndian.Uint16(b))
	if n < 2 || n > len(b) {
		return nil, nil, broken
	}
	rest, b = b[n:], b[2:n]
	for len(b) > 0 {
		end := bytes.IndexByte(b, 0)
		if end < 0 || len(b) < end+3 {
			return nil, nil, broken
		}
		how := b[end+1]
		rules = append(rules, dwaRule{string(b[:end]), uint32(b[end+2]), int(how >> 2 & 3), how&1 != 0})
		b = b[end+3:]
	}
	return rules, rest, nil
}
