//go:build !amd64 || scalar

package vorbis

func rotateIn(re, im, x, cos, sin []float32)           { plainRotateIn(re, im, x, cos, sin) }
func firstPass(yr, yi, xr, xi, factors []float32)      { plainFirstPass(yr, yi, xr, xi, factors) }
func pass(yr, yi, xr, xi, factors []float32, m, s int) { plainPass(yr, yi, xr, xi, factors, m, s) }
func lastPass4(yr, yi, xr, xi []float32)               { plainLastPass4(yr, yi, xr, xi) }
func lastPass2(yr, yi, xr, xi []float32)               { plainLastPass2(yr, yi, xr, xi) }
func rotateOut(y, re, im, cos, sin []float32)          { plainRotateOut(y, re, im, cos, sin) }
func lap(out, a, b, window []float32)                  { plainLap(out, a, b, window) }
