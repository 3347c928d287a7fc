package filters

import (
	"math"
	"sort"
)

// The range of wadaTable in dB, one entry for each.
const wadaLow, wadaHigh = -20, 100

// wadaTable is G = ln E|z| - E ln|z| of z = speech + noise at -20, -19 ... 100 dB, where the amplitude of speech
// is Gamma-distributed with shape 0.4 and a random sign, and the noise Gaussian. Computed by quadrature over
// the speech with both expectations over the noise in closed form (TestWADATable does it again); at 10 dB
// Kim and Stern publish 0.667508, which is 0.005 dB away.
var wadaTable = [wadaHigh - wadaLow + 1]float64{
	0.4094347, 0.4094595, 0.4094976, 0.4095558, 0.4096441, 0.4097768, 0.4099742, 0.4102647, 0.4106870, 0.4112925,
	0.4121483, 0.4133391, 0.4149693, 0.4171637, 0.4200664, 0.4238385, 0.4286537, 0.4346910, 0.4421276, 0.4511284,
	0.4618373, 0.4743677, 0.4887950, 0.5051514, 0.5234233, 0.5435514, 0.5654343, 0.5889337, 0.6138812, 0.6400867,
	0.6673463, 0.6954505, 0.7241907, 0.7533653, 0.7827843, 0.8122722, 0.8416705, 0.8708386, 0.8996541, 0.9280121,
	0.9558249, 0.9830204, 1.0095407, 1.0353409, 1.0603877, 1.0846573, 1.1081350, 1.1308134, 1.1526910, 1.1737720,
	1.1940648, 1.2135811, 1.2323357, 1.2503457, 1.2676298, 1.2842081, 1.3001016, 1.3153319, 1.3299213, 1.3438917,
	1.3572655, 1.3700648, 1.3823112, 1.3940261, 1.4052306, 1.4159451, 1.4261895, 1.4359831, 1.4453448, 1.4542925,
	1.4628439, 1.4710158, 1.4788245, 1.4862857, 1.4934143, 1.5002250, 1.5067315, 1.5129472, 1.5188849, 1.5245568,
	1.5299747, 1.5351498, 1.5400930, 1.5448144, 1.5493239, 1.5536311, 1.5577449, 1.5616739, 1.5654265, 1.5690104,
	1.5724333, 1.5757024, 1.5788245, 1.5818062, 1.5846539, 1.5873735, 1.5899708, 1.5924513, 1.5948202, 1.5970825,
	1.5992431, 1.6013065, 1.6032770, 1.6051589, 1.6069561, 1.6086725, 1.6103116, 1.6118770, 1.6133719, 1.6147996,
	1.6161630, 1.6174650, 1.6187085, 1.6198960, 1.6210300, 1.6221131, 1.6231474, 1.6241351, 1.6250784, 1.6259792,
	1.6268395,
}

// wadaSNR is the waveform amplitude distribution analysis of C. Kim and R. Stern, "Robust signal-to-noise
// ratio estimation based on waveform amplitude distribution analysis", Interspeech 2008: speech is far from
// Gaussian, noise is, and G says how much of each there is. Right for clean speech in steady noise; a sine
// reads as -20 dB, a clip that is half digital silence as 100.
func wadaSNR(mono []float32, _ *blockLevels) SNR {
	e := SNR{Method: WADAMethod}
	if reason := unfit(mono); reason != "" {
		e.Unmeasured = reason
		return e
	}
	var sum, logs float64
	for _, v := range mono {
		a := max(math.Abs(float64(v)), 1e-10)
		sum += a
		logs += decibels(a)
	}
	n := float64(len(mono))
	g := float64((decibels(sum/n) - logs/n) * (math.Ln10 / 10)) // rounded before it is taken from
	e.Measured = true
	i := sort.SearchFloat64s(wadaTable[:], g) // the first entry not below g
	switch {
	case i == 0:
		e.SNR = wadaLow
	case i == len(wadaTable):
		e.SNR = wadaHigh
	default:
		below := wadaTable[i-1]
		e.SNR = wadaLow + float64(i-1) + (g-below)/(wadaTable[i]-below)
	}
	return e
}

// unfit says why sound cannot be measured by a method without frames, "" when it can.
func unfit(mono []float32) string {
	if len(mono) < minimum {
		return "too_short"
	}
	for _, v := range mono {
		if math.Abs(float64(v)-float64(mono[0])) > 1.5*lsb {
			return ""
		}
	}
	return "silent"
}
