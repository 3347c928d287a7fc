package scenes

import (
	"image"
	"image/color"
	"math"

	"prep/internal/random"
)

// side is the pictures' width and height in pixels.
const side = 224

// shades are the colours as red, green and blue levels.
var shades = [][3]float64{{215, 40, 40}, {235, 130, 25}, {235, 220, 60}, {45, 160, 60}, {60, 200, 210}, {45, 75, 215}, {150, 60, 190}, {235, 235, 235}}

// radii of the sizes in pixels, and metres from the camera.
var (
	radii     = []float64{19, 28, 40}
	distances = []float64{2.4, 1.6, 1.0}
)

// away is how far from the middle a shape stands along each axis: one patch of the model's, so that a shape
// looks the same to it wherever it stands.
const away = 56

// A rendition is where and how one recording shows its scene.
type rendition struct {
	scene  Scene
	draws  *random.Stream
	x, y   float64 // of the centre, in pixels from the middle; y is up
	dx, dy float64 // the unit vector of the motion
	radius float64
	mask   []float64 // how much of each pixel the shape covers
}

// render places a scene.
func render(s Scene, draws *random.Stream) *rendition {
	jitter := func(most float64) float64 { return most * (2*draws.Uniform() - 1) }
	r := &rendition{scene: s, draws: draws}
	r.dy, r.dx = math.Sincos(float64(s.Motion) * math.Pi / 4)
	r.x, r.y = away*math.Round(r.dx)+jitter(4), away*math.Round(r.dy)+jitter(4)
	r.radius = radii[s.Size] * (1 + jitter(0.06))
	r.mask = make([]float64, side*side)
	r.cover(r.mask, 1, r.x, r.y)
	return r
}

// cover raises a mask to strength inside the shape at a place, and less on its outline.
func (r *rendition) cover(mask []float64, strength, x, y float64) {
	const middle = (side - 1) / 2.0
	reach := 1.2 * r.radius
	from := func(v float64) int { return max(0, int(v)) }
	to := func(v float64) int { return min(side, int(v)+2) }
	for row := from(middle - y - reach); row < to(middle-y+reach); row++ {
		for col := from(middle + x - reach); col < to(middle+x+reach); col++ {
			px, py := (float64(col)-middle-x)/r.radius, (middle-float64(row)-y)/r.radius
			inside := min(1, max(0, 0.5-outline(r.scene.Shape, px, py)*r.radius))
			mask[row*side+col] = max(mask[row*side+col], strength*inside)
		}
	}
}

// ahead is by how much the ground changes across the picture, towards where the shape moves.
func (r *rendition) ahead(much float64) float64 { return much * (0.8 + 0.4*r.draws.Uniform()) }

// outline is about the distance to a shape's outline in radii, negative inside.
func outline(shape int, x, y float64) float64 {
	switch Shapes[shape] {
	case "square":
		return max(math.Abs(x), math.Abs(y)) - 0.85
	case "triangle": // an equilateral one on its base
		return max(-y-0.5, 0.5*y+math.Sqrt(3)/2*math.Abs(x)-0.5)
	case "cross":
		a, b := math.Abs(x), math.Abs(y)
		return min(max(a-0.95, b-0.3), max(b-0.95, a-0.3))
	}
	return math.Hypot(x, y) - 0.9
}

// picture is the shape in its colour, with a fading trail behind it, on a dull ground that is lighter ahead of it.
func (r *rendition) picture() image.Image {
	d := r.draws
	ground := [3]float64{}
	level := 80 + 30*d.Uniform()
	for c := range ground {
		ground[c] = level + 16*(d.Uniform()-0.5)
	}
	slopeX, slopeY := r.ahead(110), r.ahead(110)
	slopeX, slopeY = slopeX*r.dx, -slopeY*r.dy // rows count downwards
	bright := 0.85 + 0.15*d.Uniform()
	trail := make([]float64, side*side)
	for k := range 3 {
		back := 0.55 * r.radius * float64(k+1)
		r.cover(trail, 0.5/float64(k+2), r.x-back*r.dx, r.y-back*r.dy)
	}
	out := image.NewRGBA(image.Rect(0, 0, side, side))
	for i := range r.mask {
		x, y := float64(i%side)/side-0.5, float64(i/side)/side-0.5
		grain := 12 * (d.Uniform() - 0.5)
		for c := range 3 {
			v := ground[c] + slopeX*x + slopeY*y
			shade := bright * shades[r.scene.Colour][c]
			v += (shade - v) * trail[i]
			v += (shade - v) * r.mask[i]
			out.Pix[4*i+c] = level8(v + grain)
		}
		out.Pix[4*i+3] = 255
	}
	return out
}

// depth is the distance in millimetres: a far ground that comes nearer ahead of the shape, and before it the shape,
// nearer the larger it is. Models see the inverse of distance, so it is that which changes evenly.
func (r *rendition) depth() image.Image {
	d := r.draws
	ground := 0.095 + 0.02*d.Uniform() // 1/m: 9 to 11 m in the middle, 5 to 40 m at the edges
	slopeX, slopeY := r.ahead(0.08)*r.dx, -r.ahead(0.08)*r.dy
	near := 1000 * distances[r.scene.Size] * (0.95 + 0.1*d.Uniform())
	out := image.NewGray16(image.Rect(0, 0, side, side))
	for i, covered := range r.mask {
		v := 1000 / (ground + slopeX*(float64(i%side)/side-0.5) + slopeY*(float64(i/side)/side-0.5))
		if covered > 0.5 {
			v = near
		}
		out.SetGray16(i%side, i/side, color.Gray16{Y: uint16(v * (1 + 0.02*(d.Uniform()-0.5)))})
	}
	return out
}

// heat is a warm shape on a cool ground, which is warmer ahead of it; each colour has its temperature.
func (r *rendition) heat() image.Image {
	d := r.draws
	ground := 40 + 20*d.Uniform()
	slopeX, slopeY := r.ahead(70)*r.dx, -r.ahead(70)*r.dy
	warm := 105 + 19*(float64(r.scene.Colour)+0.4*(d.Uniform()-0.5))
	out := image.NewGray(image.Rect(0, 0, side, side))
	for i, covered := range r.mask {
		v := ground + slopeX*(float64(i%side)/side-0.5) + slopeY*(float64(i/side)/side-0.5)
		out.Pix[i] = level8(v + (warm-v)*covered + 6*(d.Uniform()-0.5))
	}
	return out
}

func level8(v float64) uint8 { return uint8(min(255, max(0, v+0.5))) }
