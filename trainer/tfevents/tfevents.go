// Package tfevents writes TensorBoard's event files: scalars and pictures over steps. A file is a sequence of
// records, each
//
//	length uint64 | masked CRC-32C of the length uint32 | data | masked CRC-32C of the data uint32
//
// in little-endian (TensorFlow's record_writer.cc), and the data are Event messages (event.proto,
// summary.proto), of which this package writes the few fields that it needs.
package tfevents

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskDelta makes the CRC of data that hold CRCs differ from them (crc32c.h).
const maskDelta = 0xa282ead8

func masked(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + maskDelta
}

// The numbers of the fields in event.proto and summary.proto.
const (
	eventWallTime, eventStep, eventVersion, eventSummary, eventSession = 1, 2, 3, 5, 7
	summaryValue                                                       = 1
	valueTag, valueScalar, valueImage                                  = 1, 2, 4
	imageHeight, imageWidth, imageColours, imageBytes                  = 1, 2, 3, 4
	sessionStatus, statusStart                                         = 1, 1
)

// A Writer appends events to one file. Errors are those of the underlying writer. It is not safe for
// concurrent use.
type Writer struct {
	w   io.Writer
	now func() time.Time
}

// NewWriter begins a file. A start event with the given step makes TensorBoard forget what earlier files of
// the folder say of that step and later ones: what a run does that goes on from a checkpoint.
func NewWriter(w io.Writer, step int64, now func() time.Time) (*Writer, error) {
	t := &Writer{w, now}
	if err := t.record(bytesField(t.event(0), eventVersion, []byte("brain.Event:2"))); err != nil {
		return nil, err
	}
	session := protowire.AppendVarint(protowire.AppendTag(nil, sessionStatus, protowire.VarintType), statusStart)
	return t, t.record(bytesField(t.event(step), eventSession, session))
}

// Scalar writes one figure.
func (t *Writer) Scalar(step int64, tag string, v float64) error {
	b := bytesField(nil, valueTag, []byte(tag))
	b = protowire.AppendFixed32(protowire.AppendTag(b, valueScalar, protowire.Fixed32Type), math.Float32bits(float32(v)))
	return t.value(step, b)
}

// Image writes an RGB picture, encoded as PNG, of the given size in pixels.
func (t *Writer) Image(step int64, tag string, width, height int, png []byte) error {
	var img []byte
	for _, f := range []struct {
		number protowire.Number
		v      int
	}{{imageHeight, height}, {imageWidth, width}, {imageColours, 3}} {
		img = protowire.AppendVarint(protowire.AppendTag(img, f.number, protowire.VarintType), uint64(f.v))
	}
	img = bytesField(img, imageBytes, png)
	return t.value(step, bytesField(bytesField(nil, valueTag, []byte(tag)), valueImage, img))
}

func (t *Writer) value(step int64, v []byte) error {
	return t.record(bytesField(t.event(step), eventSummary, bytesField(nil, summaryValue, v)))
}

// event begins an event with its time and step.
func (t *Writer) event(step int64) []byte {
	b := protowire.AppendTag(nil, eventWallTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(float64(t.now().UnixMicro())/1e6))
	return protowire.AppendVarint(protowire.AppendTag(b, eventStep, protowire.VarintType), uint64(step))
}

func bytesField(b []byte, n protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
}

// record writes one record at once, so that a reader beside us seldom meets half of one.
func (t *Writer) record(data []byte) error {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, len(data)+16), uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, masked(b))
	b = append(b, data...)
	b = binary.LittleEndian.AppendUint32(b, masked(data))
	_, err := t.w.Write(b)
	return err
}
