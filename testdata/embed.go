// Package testdata holds the sample data that `prep demo` and the tests use. Provenance and licences are
// in audioset/PROVENANCE.md; the reference outputs in golden/ are described in golden/README.md.
package testdata

import "embed"

// AudioSet is a small tree in AudioSet's official layout, with a few broken items on purpose.
//
//go:embed all:audioset
var AudioSet embed.FS
