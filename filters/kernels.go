package filters

// kernels are the vector twins of the plain loops, to the same bits.
type kernels struct {
	// summarise fills the blocks of whole length and says how many.
	summarise func(x []float32, blocks []blockFigures) (done int)
	// weigh is kWeight.plain of four segments of each steps.
	weigh func(w kWeight, x []float32, step, each int, power []float64)
}
