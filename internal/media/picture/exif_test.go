package picture

import (
	"encoding/binary"
	"testing"
)

// Cameras write the orientation as SHORT, which is the standard's, and as BYTE, LONG or SLONG; other types say nothing.
func TestExifOrientationTypes(t *testing.T) {
	for kind, want := range map[uint16]int{1: 6, 3: 6, 4: 6, 9: 6, 2: 0, 5: 0, 12: 0} {
		b := []byte("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01")
		b = binary.LittleEndian.AppendUint16(b, kind)
		b = append(b, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0)
		if got := exifOrientation(b); got != want {
			t.Errorf("type %d: orientation %d, want %d", kind, got, want)
		}
	}
}
