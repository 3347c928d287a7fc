package scenes

import "math"

// Sound: three seconds at 16 kHz.
const (
	soundRate    = 16000
	soundSeconds = 3
)

// A voice is how a shape sounds: beats a second, the share of a beat that sounds, and the strength of the
// partials of its tone.
type voice struct {
	beats, duty float64
	partials    []float64
}

var voices = []voice{
	{0, 1, []float64{1}},
	{1.5, 0.5, []float64{1, 0, 0.33, 0, 0.2, 0, 0.14}},
	{4, 0.5, []float64{1, 0.5}},
	{9, 0.4, []float64{1, 0.8, 0.7, 0.6, 0.5, 0.4}},
}

// loudness of the sizes, as amplitude.
var loudness = []float64{0.05, 0.16, 0.5}

// sound is samples in -1..1: the colour's note in the shape's voice, the louder the larger.
func (r *rendition) sound() []float64 {
	d := r.draws
	v := voices[r.scene.Shape]
	note := 220 * math.Exp2((4*float64(r.scene.Colour)+0.3*(2*d.Uniform()-1))/12) // a major third from colour to colour
	volume := loudness[r.scene.Size] * (0.9 + 0.2*d.Uniform())
	beat, phase := d.Uniform(), 2*math.Pi*d.Uniform()
	sum := 0.0
	for _, p := range v.partials {
		sum += p
	}
	out := make([]float64, soundRate*soundSeconds)
	gate := 0.0 // follows the beat within some 5 ms, so that there are no clicks
	for i := range out {
		t := float64(i) / soundRate
		open := 1.0
		if math.Mod(v.beats*t+beat, 1) >= v.duty {
			open = 0
		}
		gate += (open - gate) / 80
		tone := 0.0
		for k, p := range v.partials {
			if p > 0 {
				tone += p * math.Sin(2*math.Pi*note*float64(k+1)*t+phase*float64(k+1))
			}
		}
		out[i] = volume*gate*tone/sum + 0.0014*(d.Uniform()-0.5)
	}
	return out
}

// Motion: a little more than the five seconds of a window, at a phone's 100 Hz.
const (
	motionRate    = 100
	motionSamples = 540
	gravity       = 9.80665
	lean          = 0.25 // radians
)

var (
	// frequencies at which a shape shakes, in Hz.
	frequencies = []float64{0.8, 1.8, 4, 9}
	// strengths of the sizes in m/s2.
	strengths = []float64{0.5, 1.5, 4}
)

// motion is a sensor that leans into the motion and shakes with the shape's frequency: accelerometer x, y, z in
// m/s2 and gyroscope x, y, z in rad/s, by row.
func (r *rendition) motion() [][6]float64 {
	d := r.draws
	tilt := lean * (0.9 + 0.2*d.Uniform())
	f := frequencies[r.scene.Shape] * (0.96 + 0.08*d.Uniform())
	a := strengths[r.scene.Size] * (0.9 + 0.2*d.Uniform())
	phase := 2 * math.Pi * d.Uniform()
	out := make([][6]float64, motionSamples)
	for i := range out {
		sin, cos := math.Sincos(2*math.Pi*f*float64(i)/motionRate + phase)
		out[i] = [6]float64{
			gravity * math.Sin(tilt) * r.dx, gravity * math.Sin(tilt) * r.dy, gravity*math.Cos(tilt) + a*sin,
			0.3 * a * cos, 0.3 * a * sin, 0,
		}
		for c := range out[i] {
			noise := 0.28 // of the accelerometer, from end to end
			if c >= 3 {
				noise = 0.07
			}
			out[i][c] += noise * (d.Uniform() - 0.5)
		}
	}
	return out
}
