package jpeg

// A progressive picture may end before its finer scans. Showing such a picture, libjpeg guesses the lowest
// coefficients that were not sent in full from the means of the blocks around ("block smoothing", after T.81, K.8),
// and so what Pillow shows of it is smooth and not made of blocks. The guess here is that of libjpeg-turbo since 2.1,
// which looks at 5 x 5 blocks.

// window are the weights of the means of 5 x 5 blocks, row by row, in units of 1/256 of a quantisation step.
type window [25]int

func (w window) transposed() (t window) {
	for i, v := range w {
		t[i%5*5+i/5] = v
	}
	return t
}

// guesses are the windows of the first ten coefficients in zigzag order.
type guesses [10]window

var (
	// onlyMeans is for components of which only the means were sent; the means themselves are smoothed too.
	onlyMeans = func() (g guesses) {
		g[0] = window{
			-2, -6, -8, -6, -2,
			-6, 6, 42, 6, -6,
			-8, 42, 152, 42, -8,
			-6, 6, 42, 6, -6,
			-2, -6, -8, -6, -2,
		}
		g[1] = window{
			-1, -1, 0, 1, 1,
			-3, 13, 0, -13, 3,
			-3, 38, 0, -38, 3,
			-3, 13, 0, -13, 3,
			-1, -1, 0, 1, 1,
		}
		g[4] = window{
			-1, 0, 0, 0, 1,
			0, 9, 0, -9, 0,
			0, 0, 0, 0, 0,
			0, -9, 0, 9, 0,
			1, 0, 0, 0, -1,
		}
		g[5] = window{
			0, 0, 0, 0, 0,
			0, 2, -5, 2, 0,
			1, 7, -14, 7, 1,
			0, 2, -5, 2, 0,
			0, 0, 0, 0, 0,
		}
		g[6] = window{
			0, 0, 0, 0, 0,
			0, 1, 0, -1, 0,
			0, 2, 0, -2, 0,
			0, 1, 0, -1, 0,
			0, 0, 0, 0, 0,
		}
		g[7] = window{
			0, 0, 0, 0, 0,
			0, 1, -3, 1, 0,
			0, 0, 0, 0, 0,
			0, -1, 3, -1, 0,
			0, 0, 0, 0, 0,
		}
		g[2], g[3], g[8], g[9] = g[1].transposed(), g[5].transposed(), g[7].transposed(), g[6].transposed()
		return g
	}()
	// fewScans is for those of which more was sent: five coefficients are guessed.
	fewScans = func() (g guesses) {
		g[1] = window{10: -7, 50, 0, -50, 7}
		g[5] = window{10: -1, 13, -24, 13, -1}
		g[4] = window{
			0, -1, 0, 1, 0,
			-1, 10, 0, -10, 1,
			0, 0, 0, 0, 0,
			1, -10, 0, 10, -1,
			0, 1, 0, -1, 0,
		}
		g[2], g[3] = g[1].transposed(), g[5].transposed()
		return g
	}()
)

// guessable reports whether the steps by which guesses are divided are there.
func (c *component) guessable() bool {
	for k := range 10 {
		if c.quant == nil || c.quant[natural[k]] == 0 {
			return false
		}
	}
	return true
}

// smooth turns coefficients into samples as reconstruct does, with guesses where coefficients are 0 and not known to
// the last bit. mcuRows is how many rows of MCUs the picture has.
func (c *component) smooth(mcuRows int) {
	g, first, end := &onlyMeans, 0, 10
	for _, sent := range c.sent[1:10] {
		if sent != 0 {
			g, first, end = &fewScans, 1, 6
		}
	}
	for y := range mcuRows * c.v {
		rows := mcuRows * c.v // what fills up the last MCUs counts for the rows above them, and not in them
		if y/c.v == mcuRows-1 {
			rows = c.high
		}
		for x := range c.blocks {
			block := *(*[64]int16)(c.coeffs[64*(y*c.blocks+x):])
			if y < rows && x < c.wide {
				var means window
				for i := range means {
					by := min(max(y+i/5-2, 0), rows-1)
					bx := min(max(x+i%5-2, 0), c.wide-1)
					means[i] = int(c.coeffs[64*(by*c.blocks+bx)])
				}
				for k := first; k < end; k++ {
					at := natural[k]
					c.guess(&block[at], &g[k], &means, k, int(c.quant[0]), int(c.quant[at]))
				}
			}
			c.write(x, y, &block, false)
		}
	}
	c.coeffs = nil
}

// guess sets a coefficient, k in zigzag order, unless it is known. step and its own are those of the means and of the
// coefficient.
func (c *component) guess(v *int16, w, means *window, k, step, own int) {
	low := c.sent[k] - 1 // bits that were not sent, -1: none was
	if k > 0 && (low == 0 || *v != 0) {
		return
	}
	sum := 0
	for i, m := range means {
		sum += w[i] * m
	}
	sum *= step
	size := (own<<7 + max(sum, -sum)) / (own << 8)
	if k > 0 && low > 0 {
		size = min(size, 1<<low-1) // more would have been sent
	}
	if sum < 0 {
		size = -size
	}
	*v = int16(size)
}
