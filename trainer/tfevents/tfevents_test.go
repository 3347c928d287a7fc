package tfevents

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// message is the fields of a message by number, the last of each.
func message(t *testing.T, b []byte) map[protowire.Number][]byte {
	t.Helper()
	out := map[protowire.Number][]byte{}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		n = protowire.ConsumeFieldValue(num, typ, b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		v := b[:n]
		if typ == protowire.BytesType {
			v, _ = protowire.ConsumeBytes(v)
		}
		out[num] = v
		b = b[n:]
	}
	return out
}

// Records come back with lengths and checksums that fit, and events with what was written. That the real
// reader agrees is checked in scripts/check_tensorboard.py.
func TestRecords(t *testing.T) {
	var b bytes.Buffer
	w, err := NewWriter(&b, 7, func() time.Time { return time.Unix(12, 500_000_000) })
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Scalar(8, "loss/image-text", 1.5); err != nil {
		t.Fatal(err)
	}
	if err := w.Image(9, "similarity", 3, 2, []byte("png")); err != nil {
		t.Fatal(err)
	}
	var events []map[protowire.Number][]byte
	for rest := b.Bytes(); len(rest) > 0; {
		n := binary.LittleEndian.Uint64(rest)
		data := rest[12 : 12+n]
		if binary.LittleEndian.Uint32(rest[8:]) != masked(rest[:8]) || binary.LittleEndian.Uint32(rest[12+n:]) != masked(data) {
			t.Fatal("a checksum does not fit")
		}
		events = append(events, message(t, data))
		rest = rest[16+n:]
	}
	if len(events) != 4 || string(events[0][eventVersion]) != "brain.Event:2" {
		t.Fatalf("%v", events)
	}
	for i, step := range []uint64{0, 7, 8, 9} {
		if got, _ := protowire.ConsumeVarint(events[i][eventStep]); got != step {
			t.Errorf("event %d has step %d, want %d", i, got, step)
		}
		if at := math.Float64frombits(binary.LittleEndian.Uint64(events[i][eventWallTime])); at != 12.5 {
			t.Errorf("event %d is of %g", i, at)
		}
	}
	scalar := message(t, message(t, events[2][eventSummary])[summaryValue])
	if string(scalar[valueTag]) != "loss/image-text" || math.Float32frombits(binary.LittleEndian.Uint32(scalar[valueScalar])) != 1.5 {
		t.Errorf("%v", scalar)
	}
	img := message(t, message(t, message(t, events[3][eventSummary])[summaryValue])[valueImage])
	if img[imageHeight][0] != 2 || img[imageWidth][0] != 3 || string(img[imageBytes]) != "png" {
		t.Errorf("%v", img)
	}
}

// The masked checksum of a known string: CRC-32C of "123456789" is e3069283 (RFC 3720's polynomial).
func TestMask(t *testing.T) {
	crc := uint32(0xe3069283)
	if got, want := masked([]byte("123456789")), (crc>>15|crc<<17)+uint32(maskDelta); got != want {
		t.Errorf("%x, want %x", got, want)
	}
}
