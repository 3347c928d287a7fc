package kernels

// The kernels of elementwise.go by eights, for AVX2 and FMA; n is a multiple of 8, and of 32 for lanes.

// binaryLanes computes the first n values of Binary.
func binaryLanes(op Op, out, a, b []float32, n int) {
	if len(out) == 1 {
		panic("kernels: no lanes") // whether an operand is repeated could not be told
	}
	form := 0
	switch {
	case len(b) == 1:
		form = 1
	case len(a) == 1:
		form = 2
	}
	binaryForms[op][form](&out[0], &a[0], &b[0], n)
}

// binaryForms are the kernels for two vectors, a vector and a number, a number and a vector.
var binaryForms = [...][3]func(out, a, b *float32, n int){
	Add: {addVectors, addNumber, func(out, a, b *float32, n int) { addNumber(out, b, a, n) }},
	Sub: {subVectors, subNumber, subFromNumber},
	Mul: {mulVectors, mulNumber, func(out, a, b *float32, n int) { mulNumber(out, b, a, n) }},
	Div: {divVectors, divNumber, divNumberBy},
}

//go:noescape
func addVectors(out, a, b *float32, n int)

//go:noescape
func addNumber(out, a, b *float32, n int)

//go:noescape
func subVectors(out, a, b *float32, n int)

//go:noescape
func subNumber(out, a, b *float32, n int)

//go:noescape
func subFromNumber(out, a, b *float32, n int)

//go:noescape
func mulVectors(out, a, b *float32, n int)

//go:noescape
func mulNumber(out, a, b *float32, n int)

//go:noescape
func divVectors(out, a, b *float32, n int)

//go:noescape
func divNumber(out, a, b *float32, n int)

//go:noescape
func divNumberBy(out, a, b *float32, n int)

//go:noescape
func expLanes(out, x *float32, n int)

//go:noescape
func erfLanes(out, x *float32, n int)

//go:noescape
func sqrtLanes(out, x *float32, n int)

//go:noescape
func negLanes(out, x *float32, n int)

// sumLanes adds value i to lane i%32.
//
//go:noescape
func sumLanes(at *[lanes]float32, x *float32, n int)

// maxLanes takes the largest of values i, i+32, ... as lane i, and says whether a value is NaN.
//
//go:noescape
func maxLanes(at *[lanes]float32, x *float32, n int) (nan bool)
