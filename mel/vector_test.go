//go:build goexperiment.simd && amd64 && !scalar

package mel

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestVectorLogarithmIsBitEqual(t *testing.T) {
	eachVector(t, func(t *testing.T, k *kernels) {
		if k.name == "sse2" {
			return // TestLogarithms4
		}
		for bits := uint32(0x00800000); bits < 0x7fffffff-Bins*1009; bits += Bins * 1009 {
			var x, y [Bins]float32
			for i := range x {
				x[i] = math.Float32frombits(bits + uint32(i)*1009)
			}
			want := x
			logarithms(&want, leastNormal)
			for i := 0; i < Bins; i += 16 {
				if k.name == "avx512" {
					logarithms16(loadFrom16(x[i:])).StoreSlice(y[i:])
				} else {
					logarithms8(loadFrom8(x[i:])).StoreSlice(y[i:])
					logarithms8(loadFrom8(x[i+8:])).StoreSlice(y[i+8:])
				}
			}
			for i := range y {
				if y[i] != want[i] && (y[i] == y[i] || want[i] == want[i]) {
					t.Fatalf("ln %g is %g in lanes, %g alone", x[i], y[i], want[i])
				}
			}
		}
	})
}

// The kernels with sixteen frames in lanes are made of those with eight and of nothing else.
func TestGeneratedKernelsAreCurrent(t *testing.T) {
	have, err := os.ReadFile("vector_avx512_amd64.go")
	if err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(t.TempDir(), "made")
	if out, err := exec.Command("go", "run", "vector_gen.go", made).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Error("vector_avx512_amd64.go is out of date: run go generate ./mel with GOEXPERIMENT=simd")
	}
}
