package kernels

import "math"

// An AdamW is what a step of AdamW (Loshchilov and Hutter 2019) does to the values of a weight. Its factors are computed
// by the caller, in float64.
type AdamW struct {
	Clip         float32 // of the gradient; 1 where it is not clipped
	Decay        float32 // of the weight, 1 - rate times decay; 1 where it does not decay
	Beta1, Rest1 float32 // of the first moment and of the gradient
	Beta2, Rest2 float32 // of the second moment and of the gradient's square
	Step         float32 // rate / (1 - beta1^t)
	Root         float32 // sqrt(1 - beta2^t)
	Epsilon      float32
}

// adamWPart is how many values of a weight pass through all of an update before the next do, so that they are in the
// first-level cache until it is done.
const adamWPart = 1024

// Update replaces a weight's values x and moments m and v by those after a step with gradient g:
//
//	g <- g Clip              x <- x Decay
//	m <- m Beta1 + g Rest1   v <- v Beta2 + g² Rest2
//	x <- x - Step (m / (sqrt(v) / Root + Epsilon))
//
// Every operation is rounded. All have the same length; g stays as it is.
func (a *AdamW) Update(x, m, v, g []float32) {
	Parallel(len(x), 8, func(from, to int) {
		if chosen == nil {
			a.updatePlain(x[from:to], m[from:to], v[from:to], g[from:to])
			return
		}
		for ; from < to; from += adamWPart {
			end := min(from+adamWPart, to)
			a.update(x[from:end], m[from:end], v[from:end], g[from:end])
		}
	})
}

// update is Update for one part.
func (a *AdamW) update(x, m, v, g []float32) {
	var clipped, term [adamWPart]float32
	n := len(x)
	c, t := clipped[:n], term[:n]
	by := func(op Op, out, p []float32, number float32) {
		s := [1]float32{number}
		Binary(op, out, p, s[:])
	}
	by(Mul, c, g, a.Clip)
	by(Mul, m, m, a.Beta1)
	by(Mul, t, c, a.Rest1)
	Binary(Add, m, m, t)
	Binary(Mul, c, c, c)
	by(Mul, c, c, a.Rest2)
	by(Mul, v, v, a.Beta2)
	Binary(Add, v, v, c)
	roots(t, v)
	by(Div, t, t, a.Root)
	by(Add, t, t, a.Epsilon)
	Binary(Div, t, m, t)
	by(Mul, t, t, a.Step)
	by(Mul, x, x, a.Decay)
	Binary(Sub, x, x, t)
}

// roots computes square roots on this thread.
func roots(out, x []float32) {
	whole := len(x) &^ 7
	if whole > 0 {
		sqrtLanes(&out[0], &x[0], whole)
	}
	for i := whole; i < len(x); i++ {
		out[i] = float32(math.Sqrt(float64(x[i])))
	}
}

// updatePlain is what Update is.
func (a *AdamW) updatePlain(x, m, v, g []float32) {
	for i := range x {
		c := float32(g[i] * a.Clip)
		m[i] = float32(m[i]*a.Beta1) + float32(c*a.Rest1)
		v[i] = float32(v[i]*a.Beta2) + float32(float32(c*c)*a.Rest2)
		t := float32(math.Sqrt(float64(v[i]))) / a.Root
		t = m[i] / float32(t+a.Epsilon)
		x[i] = float32(x[i]*a.Decay) - float32(a.Step*t)
	}
}

// Follow moves an average towards x: average <- x + factor (average - x).
func Follow(average, x []float32, factor float32) {
	Parallel(len(x), 4, func(from, to int) {
		if chosen == nil {
			for i := from; i < to; i++ {
				average[i] = x[i] + float32(factor*float32(average[i]-x[i]))
			}
			return
		}
		by := [1]float32{factor}
		for ; from < to; from += adamWPart {
			end := min(from+adamWPart, to)
			average, x := average[from:end], x[from:end]
			Binary(Sub, average, average, x)
			Binary(Mul, average, average, by[:])
			Binary(Add, average, x, average)
		}
	})
}

// SumSquares is Sum of the squares of adjacent values, each rounded.
func SumSquares(x []float32) float32 {
	var at [lanes]float32
	if chosen != nil {
		var squares [adamWPart]float32 // whole turns of the lanes
		for ; len(x) >= lanes; x = x[min(len(x)&^(lanes-1), adamWPart):] {
			n := min(len(x)&^(lanes-1), adamWPart)
			Binary(Mul, squares[:n], x[:n], x[:n])
			sumLanes(&at, &squares[0], n)
		}
	}
	for i, v := range x {
		at[i%lanes] += float32(v * v)
	}
	return sumPlain(&at, nil)
}
