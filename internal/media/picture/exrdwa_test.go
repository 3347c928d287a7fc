package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"testing"

	"prep/internal/fault"
)

// Blocks of version 1 state no rules: colours are kept with loss and opacity in runs, whatever the case of their names.
func TestDWALegacy(t *testing.T) {
	channels := []exrChannel{{name: "left.a", kind: 1}, {name: "Red", kind: 1}, {name: "Y", kind: 0}, {name: "Depth.Z", kind: 2}, {name: "Alpha", kind: 2}}
	r := rectangle{width: 3, height: 2}
	var plain []byte
	for i := range 3 * 2 * (4 + 4 + 4) { // Y of whole numbers is no luminance, and Alpha no opacity, by their rules
		plain = append(plain, byte(i*7))
	}
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	if _, err := z.Write(plain); err != nil {
		t.Fatal(err)
	}
	z.Close()
	block := func(version, unpacked int) []byte {
		b := binary.LittleEndian.AppendUint64(nil, uint64(version))
		b = binary.LittleEndian.AppendUint64(b, uint64(unpacked))
		b = binary.LittleEndian.AppendUint64(b, uint64(packed.Len()))
		return append(append(b, make([]byte, 8*8)...), packed.Bytes()...)
	}
	for i, want := range map[int][]byte{2: plain[:24], 3: plain[24:48], 4: plain[48:]} {
		got, err := exrDWA(block(1, len(plain)), channels, i, r)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x (%v)", channels[i].name, got, want, err)
		}
	}
	for i := range 2 {
		if _, err := exrDWA(block(0, len(plain)), channels, i, r); fault.KindOf(err) != fault.Unsupported {
			t.Errorf("%s: %v", channels[i].name, err)
		}
	}
	if _, err := exrDWA(block(1, len(plain)-1), channels, 3, r); err == nil {
		t.Error("a block of another size")
	}
}
