// Package scenes makes a small world to learn from: single shapes in motion, each seen, told, heard, felt and
// measured, as raw files in six modalities. What a modality shows of a scene is fixed, so that a model which
// has learnt it finds one modality of a scene by another, also of scenes that it has never met:
//
//	             shape      colour       motion                     size
//	picture      outline    colour       place, trail, light ahead  extent
//	words        noun       adjective    direction                  adjective
//	sound        rhythm     pitch        -                          loudness
//	depth        outline    -            place, slope               extent, distance
//	heat         outline    temperature  place, warmth ahead        extent
//	motion       frequency  -            lean                       strength
//
// A rendition of a scene is one recording of it: place, shade, ground, phase, tuning, noise and wording are
// drawn anew. The package owns what is drawn and the files; what becomes of them is the business of prep's
// commands, which know nothing of where they come from.
//
// Everything is a function of the seed, on one kind of processor bit by bit.
package scenes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"prep/internal/random"
)

// The attributes of a scene, by the words for them.
var (
	Shapes  = []string{"circle", "square", "triangle", "cross"}
	Colours = []string{"red", "orange", "yellow", "green", "cyan", "blue", "purple", "white"}
	// Motions go around in steps of 45 degrees, anticlockwise from the right.
	Motions = []string{"right", "up and right", "up", "up and left", "left", "down and left", "down", "down and right"}
	Sizes   = []string{"small", "medium", "large"}
)

// A Scene is one combination of the attributes, by their places in the lists.
type Scene struct{ Shape, Colour, Motion, Size int }

// All lists every scene.
func All() []Scene {
	var out []Scene
	for shape := range Shapes {
		for colour := range Colours {
			for motion := range Motions {
				for size := range Sizes {
					out = append(out, Scene{shape, colour, motion, size})
				}
			}
		}
	}
	return out
}

// Name says what a scene is; no two have the same.
func (s Scene) Name() string {
	return fmt.Sprintf("%s %s %s moving %s", Sizes[s.Size], Colours[s.Colour], Shapes[s.Shape], Motions[s.Motion])
}

// key is the name as part of a file's name.
func (s Scene) key() string {
	return fmt.Sprintf("%s-%s-%s-%s", Shapes[s.Shape], Colours[s.Colour], strings.ReplaceAll(Motions[s.Motion], " and ", "-"), Sizes[s.Size])
}

// wordings are the sentences that tell a scene.
var wordings = []string{
	"a {size} {colour} {shape} moving {motion}",
	"a {colour} {shape}, {size}, goes {motion}",
	"moving {motion}: a {size} {shape} in {colour}",
}

// Split divides the scenes: held are those that training never sees, chosen by a hash, and train the rest. At
// most half can be held.
func Split(seed uint64, held int) (train, heldOut []Scene) {
	all := All()
	slices.SortFunc(all, func(a, b Scene) int {
		x, _ := random.Hash(seed, "held scene", 0, a.key())
		y, _ := random.Hash(seed, "held scene", 0, b.key())
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(a.key(), b.key()))
	})
	held = min(held, len(all)/2)
	return all[held:], all[:held]
}
