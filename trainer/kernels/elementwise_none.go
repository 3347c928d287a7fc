//go:build !amd64

package kernels

func binaryLanes(op Op, out, a, b []float32, n int) { binaryPlain(op, out[:n], a, b) }

func expLanes(out, x *float32, n int)                           { panic("no kernels") }
func erfLanes(out, x *float32, n int)                           { panic("no kernels") }
func sqrtLanes(out, x *float32, n int)                          { panic("no kernels") }
func negLanes(out, x *float32, n int)                           { panic("no kernels") }
func sumLanes(at *[lanes]float32, x *float32, n int)            { panic("no kernels") }
func maxLanes(at *[lanes]float32, x *float32, n int) (nan bool) { panic("no kernels") }
