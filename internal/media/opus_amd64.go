package media

import _ "unsafe" // for linkname

// gopus conceals what it must invent between two modes with correlations that it computes with AVX2 and FMA where
// the processor has them, and with SSE otherwise: the sums round differently, and samples with them (by 4e-4 where
// modes change without the packet that is meant to cover it). What is decoded must not depend on the machine, and the
// library has no switch for it: this is the variable that it looks at. Nothing else of its decoder does.
//
//go:linkname gopusCorrelatesWithAVX2 github.com/thesyncim/gopus/internal/celt.amd64UsePitchXcorrAVX2FMA
var gopusCorrelatesWithAVX2 bool

var _ = func() bool { gopusCorrelatesWithAVX2 = false; return true }()
