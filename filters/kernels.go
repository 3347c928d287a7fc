package filters

// kernels are the vector twins of the plain loops, to the same bits.
type kernels struct {
	// summarise fills the blocks of whole length, as blockLevels.plain, and says how many.
	summarise func(x []float32, l *blockLevels) (done int)
	// centre is clipFigures.plainCentre of the short frames that it says.
	centre func(c *clipFigures, x []float32, mean float32) (done int)
	// cells is clipFigures.plainCells.
	cells func(c *clipFigures, from, to int, band []float64)
	// column fills the means of eight bins, and the columns with their smoothed powers, in ascending order around the quantiles of the floors.
	column func(c *clipFigures, from int)
	// decibels is inDecibels of the first ones.
	decibels func(v []float64, plus float64) (done int)
}
