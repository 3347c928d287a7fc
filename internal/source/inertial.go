package source

import (
	"path"
	"slices"
	"strings"
)

// sensorWords are what recorders call the file of one sensor, the accelerometer's and the gyroscope's, the better
// first: Sensor Logger's Accelerometer.csv has gravity taken out, and its TotalAcceleration.csv has not.
var sensorWords = [2][]string{
	{"totalacceleration", "accelerometer", "acceleration", "accel", "accl", "acc"},
	{"gyroscope", "gyro", "gyr", "angularvelocity", "rotationrate"},
}

// sensorFile is a table that holds one of a recording's two sensors by its name.
type sensorFile struct {
	whole  string // the recording's name: the path without the word and the extension
	sensor int    // 0 accelerometer, 1 gyroscope
	rank   int    // in sensorWords
	own    bool   // the word is the whole name: other files of the folder are the recording's other sensors
}

// loneRecording is the name of a recording whose two files lie in the root itself.
const loneRecording = "recording"

// sensorFileOf reads a name. The word is the whole name (walk/Accelerometer.csv is walk's), one of its parts between
// points, dashes, underscores and spaces (walk_accel.csv, accel_walk.csv, logger_Accelerometer_100Hz.csv), or the
// folder's name (accel/walk.csv). A name with several such words is of no one sensor.
func sensorFileOf(name string) (sensorFile, bool) {
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	ext := path.Ext(base)
	switch strings.ToLower(ext) {
	case ".csv", ".npy", ".parquet":
	default:
		return sensorFile{}, false
	}
	base = strings.TrimSuffix(base, ext)
	if s, rank, ok := sensorWord(base); ok {
		if dir == "" {
			dir = loneRecording
		}
		return sensorFile{dir, s, rank, true}, true
	}
	const between = ".-_ "
	f, words := sensorFile{}, 0
	for from := 0; from < len(base); {
		to := len(base)
		if n := strings.IndexAny(base[from:], between); n >= 0 {
			to = from + n
		}
		if s, rank, ok := sensorWord(base[from:to]); ok {
			words++
			rest := base[:max(from-1, 0)] + base[to:] // and what lies before the word, or else behind it
			if from == 0 {
				rest = base[min(to+1, len(base)):]
			}
			f = sensorFile{path.Join(dir, rest), s, rank, false}
		}
		from = to + 1
	}
	if words > 0 {
		return f, words == 1 && strings.Trim(path.Base(f.whole), between) != ""
	}
	if s, rank, ok := sensorWord(path.Base(dir)); ok {
		return sensorFile{path.Join(path.Dir(dir), base), s, rank, false}, true
	}
	return sensorFile{}, false
}

// together takes out what may lie between the parts of a word: angular_velocity.
var together = strings.NewReplacer(" ", "", "_", "", "-", "")

// sensorWord finds a word in sensorWords, whatever its case and what lies between its parts.
func sensorWord(s string) (sensor, rank int, ok bool) {
	s = together.Replace(strings.ToLower(s))
	for sensor, words := range sensorWords {
		if rank := slices.Index(words, s); rank >= 0 {
			return sensor, rank, true
		}
	}
	return 0, 0, false
}

// sensorPairs are the recordings of a tree whose two sensors have a file each.
type sensorPairs struct {
	// of is the recording of each accelerometer's file, by its place in the tree.
	of map[int]sensorPair
	// passed are the files that are no sample of their own: the gyroscopes', and in a recording's own folder its
	// other sensors'. Of the latter the value is true.
	passed map[int]bool
}

type sensorPair struct {
	whole string
	gyro  int // the gyroscope's file, by its place in the tree
}

// pairSensors finds recordings of which both sensors' files are there; a file of one alone is left to be what its
// name and folder say otherwise.
func pairSensors(t *tree) sensorPairs {
	best := map[string]*[2]int{}
	files := map[int]sensorFile{}
	for i, f := range t.files {
		s, ok := sensorFileOf(f.name)
		if !ok {
			continue
		}
		files[i] = s
		b := best[s.whole]
		if b == nil {
			b = &[2]int{-1, -1}
			best[s.whole] = b
		}
		if had := b[s.sensor]; had < 0 || s.rank < files[had].rank {
			b[s.sensor] = i
		}
	}
	p := sensorPairs{map[int]sensorPair{}, map[int]bool{}}
	folders := map[string]bool{} // that are one recording's
	for whole, b := range best {
		if b[0] < 0 || b[1] < 0 {
			continue
		}
		p.of[b[0]] = sensorPair{whole, b[1]}
		p.passed[b[1]] = false
		if files[b[0]].own && files[b[1]].own {
			folders[path.Dir(t.files[b[0]].name)] = true
		}
	}
	if len(p.of) == 0 {
		return p
	}
	for i, f := range t.files {
		if _, joined := p.of[i]; joined {
			continue
		}
		if _, joined := p.passed[i]; joined {
			continue
		}
		s, ok := files[i]
		b := best[s.whole]
		switch strings.ToLower(path.Ext(f.name)) {
		case ".csv", ".npy", ".parquet":
			// another form of a sensor that is joined, or another sensor of the folder's recording
			if ok && b[0] >= 0 && b[1] >= 0 || folders[path.Dir(f.name)] {
				p.passed[i] = true
			}
		}
	}
	return p
}
