// Package kernels computes on float32 what a training step spends its time on: matrix products, exponentials and error
// functions, transpositions, sums. Package executors puts them below GoMLX's Go backend.
//
// Every kernel is defined by a plain form in Go that says which operations are rounded in which order; the forms in
// assembly for AVX-512 and for AVX2 with FMA give its bits. So a result depends neither on the processor nor on the
// number of threads.
package kernels

import (
	"math"
	"runtime"
	"sync"
)

// A Matrix is one operand of a product: element (i, j) of it lies at Data[i*Row+j*Col]. One of the strides should be
// 1, for speed; any others are allowed.
type Matrix struct {
	Data     []float32
	Row, Col int
}

// blockK is how many products are added up before they are added to the result. It is part of what a product is: the
// sum of each block of k is one chain of fused multiply-adds from 0 in the order of k, the blocks' sums are added in
// order.
const blockK = 256

// blockRows and blockCols bound what a thread holds of the operands while it multiplies: a panel of b in the first-level
// cache, the blocks in the second.
const (
	blockRows = 168 // a multiple of every kernel's rows
	blockCols = 512 // and of every kernel's columns
	padding   = 16  // keeps rows of a block from falling on the same lines of the cache
)

// threadWork is how many multiply-adds are worth a thread of their own.
const threadWork = 1 << 17

// A tile is a processor's kernel of a product: it multiplies rows x k values by k x cols, where cols is full or half of
// cols.
type tile struct {
	name       string
	rows, cols int
	// full and half compute tiles of cols and cols/2 columns: c = a b, or c += a b. Element (i, l) of a lies i*row+l*col
	// bytes behind a, (l, j) of b at l*cols+j, or l*cols/2+j, and (i, j) of c i*pitch bytes and j values behind c.
	full, half func(k int, a *float32, row, col int, b, c *float32, pitch int, add bool)
	// turn writes eight rows of n values, n a multiple of 8, as n rows of eight; pitches are in bytes.
	turn func(to *float32, toPitch int, from *float32, fromPitch, n int)
}

// chosen is this processor's kernel, nil where it has none.
var chosen = chooseTile()

// Fast reports whether this processor has kernels of this package.
func Fast() bool { return chosen != nil }

// Name says which kernels this processor runs.
func Name() string {
	if chosen == nil {
		return "plain"
	}
	return chosen.name
}

// Product computes c = a b for a [m, k] and b [k, n], row after row, for each of a batch, whose loops say where
// its operands lie behind the first ones; products follow each other in c. Its operands must not overlap c.
func Product(c []float32, a, b Matrix, m, n, k int, batch []Loop) {
	if chosen == nil {
		walk(batch, 0, combinations(batch), func(i, pa, pb int) {
			productPlain(c[i*m*n:(i+1)*m*n], n, a.from(pa), b.from(pb), m, n, k)
		})
		return
	}
	chosen.product(c, a, b, m, n, k, batch, runtime.GOMAXPROCS(0))
}

func (a Matrix) from(at int) Matrix { return Matrix{a.Data[at:], a.Row, a.Col} }

// product divides the work among threads: products of a batch if there are enough, else columns or rows of each.
func (t *tile) product(c []float32, a, b Matrix, m, n, k int, batch []Loop, threads int) {
	count := combinations(batch)
	if m == 0 || n == 0 || count == 0 {
		return
	}
	if k == 0 {
		clear(c[:count*m*n])
		return
	}
	threads = min(threads, max(1, count*m*n*k/threadWork))
	if threads == 1 {
		s := scratches.Get().(*scratch)
		walk(batch, 0, count, func(i, pa, pb int) {
			t.block(s, c[i*m*n:(i+1)*m*n], n, a.from(pa), b.from(pb), m, n, k)
		})
		scratches.Put(s)
		return
	}
	type part struct{ i, a, b, row, rows, col, cols int }
	var parts []part
	walk(batch, 0, count, func(i, pa, pb int) {
		if count >= 4*threads || count%threads == 0 {
			parts = append(parts, part{i, pa, pb, 0, m, 0, n})
			return
		}
		// Each thread packs what it multiplies. A column of b costs more to pack than a row of a.
		byCols := n >= 2*t.cols*threads || n >= m
		size, unit := m, t.rows
		if byCols {
			size, unit = n, t.cols
		}
		units := (size + unit - 1) / unit
		pieces := min(threads, units)
		for p := range pieces {
			from, to := units*p/pieces*unit, min(units*(p+1)/pieces*unit, size)
			if byCols {
				parts = append(parts, part{i, pa, pb, 0, m, from, to - from})
			} else {
				parts = append(parts, part{i, pa, pb, from, to - from, 0, n})
			}
		}
	})
	run := func(parts []part) {
		s := scratches.Get().(*scratch)
		for _, p := range parts {
			t.block(s, c[p.i*m*n+p.row*n+p.col:(p.i+1)*m*n], n, a.from(p.a+p.row*a.Row), b.from(p.b+p.col*b.Col), p.rows, p.cols, k)
		}
		scratches.Put(s)
	}
	threads = min(threads, len(parts))
	share := func(i int) []part { return parts[len(parts)*i/threads : len(parts)*(i+1)/threads] }
	var wait sync.WaitGroup
	for i := 1; i < threads; i++ {
		wait.Go(func() { run(share(i)) })
	}
	run(share(0))
	wait.Wait()
}

// scratch is what a thread packs operands into.
type scratch struct {
	a    [blockRows * (blockK + padding)]float32
	b    [blockK * blockCols]float32
	c    [16 * 64]float32 // a tile that does not lie within the result
	edge [8 * blockK]float32
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// block computes c = a b on this thread, with rows of c pitch values apart.
func (t *tile) block(s *scratch, c []float32, pitch int, a, b Matrix, m, n, k int) {
	for col := 0; col < n; col += blockCols {
		cols := min(blockCols, n-col)
		for first := 0; first < k; first += blockK {
			depth := min(blockK, k-first)
			t.packB(s, b.from(first*b.Row+col*b.Col), depth, cols)
			for row := 0; row < m; row += blockRows {
				rows := min(blockRows, m-row)
				rowPitch, colPitch := t.packA(s, a.from(row*a.Row+first*a.Col), rows, depth)
				t.tiles(s, c[row*pitch+col:], pitch, rowPitch, colPitch, rows, cols, depth, first > 0)
			}
		}
	}
}

// tiles multiplies the packed blocks.
func (t *tile) tiles(s *scratch, c []float32, pitch, rowPitch, colPitch, rows, cols, depth int, add bool) {
	at := 0
	for col := 0; col < cols; {
		kernel, width := t.full, t.cols
		if cols-col <= t.cols/2 {
			kernel, width = t.half, t.cols/2
		}
		b := &s.b[at]
		for row := 0; row < rows; row += t.rows {
			a := &s.a[row*rowPitch]
			if rows-row >= t.rows && cols-col >= width {
				kernel(depth, a, 4*rowPitch, 4*colPitch, b, &c[row*pitch+col], 4*pitch, add)
				continue
			}
			h, w := min(t.rows, rows-row), min(width, cols-col)
			kernel(depth, a, 4*rowPitch, 4*colPitch, b, &s.c[0], 4*width, false)
			for i := range h {
				from, to := s.c[i*width:][:w], c[(row+i)*pitch+col:][:w]
				if add {
					for j, v := range from {
						to[j] += v
					}
				} else {
					copy(to, from)
				}
			}
		}
		at += depth * width
		col += width
	}
}

// packA copies a block of a, so that its rows or columns do not fall on the same lines of the cache, and follows its
// rows by zeros up to a whole tile. It returns the copy's strides.
func (t *tile) packA(s *scratch, a Matrix, rows, depth int) (row, col int) {
	padded := (rows + t.rows - 1) / t.rows * t.rows
	if a.Row == 1 && a.Col != 1 {
		for l := range depth {
			to := s.a[l*padded:][:padded]
			copy(to, a.Data[l*a.Col:][:rows])
			clear(to[rows:])
		}
		return 1, padded
	}
	const pitch = blockK + padding
	for i := range padded {
		to := s.a[i*pitch:][:depth]
		switch {
		case i >= rows:
			clear(to)
		case a.Col == 1:
			copy(to, a.Data[i*a.Row:])
		default:
			from := a.Data[i*a.Row:]
			for l := range to {
				to[l] = from[l*a.Col]
			}
		}
	}
	return pitch, 1
}

// packB copies a block of b as panels of a tile's columns: those of a row lie together.
func (t *tile) packB(s *scratch, b Matrix, depth, cols int) {
	at := 0
	for col := 0; col < cols; {
		width := t.cols
		if cols-col <= t.cols/2 {
			width = t.cols / 2
		}
		w := min(width, cols-col)
		panel := s.b[at:][:depth*width]
		from := b.Data[col*b.Col:]
		switch {
		case b.Col == 1:
			for l := range depth {
				to := panel[l*width:][:width]
				copy(to, from[l*b.Row:][:w])
				clear(to[w:])
			}
		case b.Row == 1:
			t.packTurned(s, panel, width, from, b.Col, w, depth)
		default:
			for l := range depth {
				to := panel[l*width:][:width]
				for j := range w {
					to[j] = from[l*b.Row+j*b.Col]
				}
				clear(to[w:])
			}
		}
		at += depth * width
		col += width
	}
}

// packTurned packs w columns of b, of which each lies in one piece, pitch behind the last, as a panel.
func (t *tile) packTurned(s *scratch, panel []float32, width int, from []float32, pitch, w, depth int) {
	whole := depth &^ 7
	for j := 0; j < width; j += 8 {
		if j+8 <= w && whole > 0 {
			t.turn(&panel[j], 4*width, &from[j*pitch], 4*pitch, whole)
		} else if whole > 0 {
			// Columns past the last are zeros.
			for i := range 8 {
				to := s.edge[i*blockK:][:whole]
				if j+i < w {
					copy(to, from[(j+i)*pitch:])
				} else {
					clear(to)
				}
			}
			t.turn(&panel[j], 4*width, &s.edge[0], 4*blockK, whole)
		}
	}
	for l := whole; l < depth; l++ {
		to := panel[l*width:][:width]
		for j := range w {
			to[j] = from[j*pitch+l]
		}
		clear(to[w:])
	}
}

// productPlain is what a product is.
func productPlain(c []float32, pitch int, a, b Matrix, m, n, k int) {
	for i := range m {
		for j := range n {
			total := float32(0)
			for first := 0; first < k; first += blockK {
				sum := float32(0)
				for l := first; l < min(first+blockK, k); l++ {
					sum = fma(a.Data[i*a.Row+l*a.Col], b.Data[l*b.Row+j*b.Col], sum)
				}
				if first == 0 {
					total = sum
				} else {
					total += sum
				}
			}
			c[i*pitch+j] = total
		}
	}
}

// fma is x*y + z rounded once. The product is exact in float64. The sum is rounded to odd there (Boldo and Melquiond
// 2008), so that rounding it again gives what one rounding would have given.
func fma(x, y, z float32) float32 {
	p, q := float64(x)*float64(y), float64(z)
	s := p + q
	if math.IsInf(s, 0) || s != s {
		return float32(s)
	}
	// Knuth's exact error of the sum. The conversions keep a compiler from fusing.
	v := float64(s - p)
	e := float64(p-float64(s-v)) + float64(q-v)
	if bits := math.Float64bits(s); e != 0 && bits&1 == 0 {
		if (e > 0) == (s > 0) {
			bits++
		} else {
			bits--
		}
		s = math.Float64frombits(bits)
	}
	return float32(s)
}
