//go:build goexperiment.simd && amd64 && unix

package cli

import (
	"slices"
	"testing"
)

func TestRestartedKeepsTheEnvironment(t *testing.T) {
	got := restarted([]string{"A=1", "GODEBUG=http2debug=1", "B=2"}, "http2debug=1")
	if want := []string{"A=1", "B=2", "GODEBUG=http2debug=1,cpu.fma=off"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := restarted([]string{"A=1"}, ""); !slices.Equal(got, []string{"A=1", "GODEBUG=cpu.fma=off"}) {
		t.Errorf("got %q", got)
	}
}
