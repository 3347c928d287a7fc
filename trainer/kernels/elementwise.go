package kernels

import (
	"math"
	"runtime"
	"sync"
)

// An Op is an operation on two numbers.
type Op int

// The operations of Binary.
const (
	Add Op = iota
	Sub
	Mul
	Div
)

// How many values of one operation are worth a thread of their own.
const (
	cheapWork = 1 << 16 // an addition, a copy
	dearWork  = 1 << 13 // an exponential
)

// Parallel calls f for consecutive parts of n items, with as many threads as there are processors, where an item is
// worth cost values of a cheap operation.
func Parallel(n, cost int, f func(from, to int)) { parallel(n, cheapWork/max(cost, 1), f) }

func parallel(n, work int, f func(from, to int)) {
	threads := min(runtime.GOMAXPROCS(0), n/max(work, 1))
	if threads <= 1 {
		f(0, n)
		return
	}
	var wait sync.WaitGroup
	for i := 1; i < threads; i++ {
		wait.Go(func() { f(n*i/threads, n*(i+1)/threads) })
	}
	f(0, n/threads)
	wait.Wait()
}

// Binary computes out[i] = a[i] op b[i] on this thread. Either operand may be one value, which stands for all of its
// side. out may be a or b.
func Binary(op Op, out, a, b []float32) {
	n := len(out)
	if n == 0 {
		return
	}
	if len(a) == 1 && len(b) == 1 && n > 1 { // both repeated
		v := [1]float32{}
		Binary(op, v[:], a, b)
		for i := range out {
			out[i] = v[0]
		}
		return
	}
	from := 0
	if whole := n &^ 7; chosen != nil && whole > 0 {
		binaryLanes(op, out, a, b, whole)
		from = whole
	}
	binaryPlain(op, out[from:], tail(a, from), tail(b, from))
}

// tail is what follows the first values of an operand of Binary.
func tail(v []float32, from int) []float32 {
	if len(v) == 1 {
		return v
	}
	return v[from:]
}

// binaryPlain is what Binary is.
func binaryPlain(op Op, out, a, b []float32) {
	stepA, stepB := min(len(a)-1, 1), min(len(b)-1, 1)
	if len(out) <= 1 {
		stepA, stepB = 0, 0
	}
	for i := range out {
		x, y := a[i*stepA], b[i*stepB]
		switch op {
		case Add:
			out[i] = x + y
		case Sub:
			out[i] = x - y
		case Mul:
			out[i] = x * y
		case Div:
			out[i] = x / y
		}
	}
}

// Exp computes e^x, within 2 units in the last place, with as many threads as pay. out may be x.
func Exp(out, x []float32) { unary(dearWork, out, x, expLanes, expPlain) }

// Erf computes the error function, within 2 units in the last place, with as many threads as pay. out may be x.
func Erf(out, x []float32) { unary(dearWork, out, x, erfLanes, erfPlain) }

// Sqrt computes square roots. out may be x.
func Sqrt(out, x []float32) {
	unary(dearWork, out, x, sqrtLanes, func(x float32) float32 { return float32(math.Sqrt(float64(x))) })
}

// Neg computes -x. out may be x.
func Neg(out, x []float32) {
	unary(cheapWork, out, x, negLanes, func(x float32) float32 { return -x })
}

func unary(work int, out, x []float32, lanes func(out, x *float32, n int), plain func(float32) float32) {
	parallel(len(out), work, func(from, to int) {
		if whole := (to - from) &^ 7; chosen != nil && whole > 0 {
			lanes(&out[from], &x[from], whole)
			from += whole
		}
		for i := from; i < to; i++ {
			out[i] = plain(x[i])
		}
	})
}

// The polynomials are minimax fits (Lawson's algorithm on 4000 Chebyshev nodes) of, each with its largest error as a
// part of the result:
//
//	(e^r - 1 - r)/r² on ±log(2)/2                   3e-9
//	erf(x)/x - 1 in x² on 0 to 1                    1.2e-9
//	-log(1 - erf(x)) on 1 to 4, in 1 - erf(x)       1.0e-9
var (
	expFit  = [...]float32{0.4999999403953552, 0.1666652113199234, 0.04166838899254799, 0.008368716575205326, 0.001381459878757596}
	nearFit = [...]float32{0.12837916612625122, -0.3761262595653534, 0.1128358542919159, -0.026853812858462334, 0.005188327748328447, -0.0008010193705558777, 7.853861461626366e-05}
	farFit  = [...]float32{0.0003537194861564785, 1.1270400285720825, 0.6382256746292114, 0.10303737223148346, -0.02180531807243824, 0.002939607249572873, -0.00018557401199359447}
)

const (
	log2e    = 1.44269504088896340736
	log2High = 0.693359375 // times a whole number of up to 13 bits is exact
	log2Low  = math.Ln2 - log2High
	expMost  = 89   // e^89 is infinite
	expLeast = -105 // e^-105 is 0
	farMost  = 4    // erf(4) is 1
)

// polynomial is Horner's rule with fused multiply-adds.
func polynomial(c []float32, x float32) float32 {
	v := c[len(c)-1]
	for i := len(c) - 2; i >= 0; i-- {
		v = fma(v, x, c[i])
	}
	return v
}

// expPlain is what Exp is: e^x = 2^n e^r with r at most log(2)/2 from 0.
func expPlain(x float32) float32 {
	if x != x {
		return x
	}
	x = max(min(x, expMost), expLeast)
	n := float32(math.RoundToEven(float64(float32(x * log2e))))
	r := fma(-n, log2High, x)
	r = fma(-n, log2Low, r)
	e := fma(polynomial(expFit[:], r), float32(r*r), r) + 1
	// In two steps, because 2^n alone may have no float32.
	half := int32(n) >> 1
	power := func(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }
	return float32(e*power(half)) * power(int32(n)-half)
}

// erfPlain is what Erf is.
func erfPlain(x float32) float32 {
	a := float32(math.Abs(float64(x)))
	if a != a {
		return x
	}
	var v float32
	if a < 1 {
		v = fma(a, polynomial(nearFit[:], float32(a*a)), a)
	} else {
		v = 1 - expPlain(-polynomial(farFit[:], min(a, farMost)))
	}
	return float32(math.Copysign(float64(v), float64(x)))
}

// lanes is how many sums run beside each other in a sum over adjacent values.
const lanes = 32

// Sum adds up adjacent values: lane i of 32 takes values i, i+32, ...; then the lanes are added by halves.
func Sum(x []float32) float32 {
	var at [lanes]float32
	whole := 0
	if chosen != nil && len(x) >= lanes {
		whole = len(x) &^ (lanes - 1)
		sumLanes(&at, &x[0], whole)
	}
	return sumPlain(&at, x[whole:])
}

// sumPlain adds values to their lanes and then the lanes.
func sumPlain(at *[lanes]float32, x []float32) float32 {
	for i, v := range x {
		at[i%lanes] += v
	}
	for n := lanes / 2; n > 0; n /= 2 {
		for i := range n {
			at[i] += at[i+n]
		}
	}
	return at[0]
}

// Max is the largest of adjacent values, NaN if one of them is, and -Inf of none.
func Max(x []float32) float32 {
	m := float32(math.Inf(-1))
	whole := 0
	if chosen != nil && len(x) >= lanes {
		whole = len(x) &^ (lanes - 1)
		var at [lanes]float32
		if maxLanes(&at, &x[0], whole) {
			return float32(math.NaN())
		}
		for _, v := range at {
			m = max(m, v)
		}
	}
	for _, v := range x[whole:] {
		m = max(m, v)
	}
	return m
}
