//go:build !amd64 || scalar

package filters

func (w *kWeight) weighPieces(pieces *[segments][]float32, state *weighing) { w.plain(pieces, state) }
