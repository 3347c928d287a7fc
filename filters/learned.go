package filters

// SNRTraits returns what the estimator learned-1 sees of mono sound at 16 kHz, nil when there is no
// figure. The names are for the training script; the trees know a trait by its place.
func SNRTraits(mono []float32) (values []float32, names []string) {
	var c clipFigures
	if e := estimateFloor(mono, &c); !e.Measured {
		return nil, nil
	}
	b := traitBuilder{names: []string{}}
	b.build(&c)
	return b.values, b.names
}
