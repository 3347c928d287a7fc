package source

import (
	"context"
	"fmt"
	"path"
	"strings"

	"golang.org/x/text/unicode/norm"

	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/sample"
)

// modalityFolders are names that people give to a folder of one modality; no part of a key.
var modalityFolders = map[string]bool{
	"image": true, "images": true, "img": true, "imgs": true, "frame": true, "frames": true, "picture": true, "pictures": true, "photo": true, "photos": true, "rgb": true,
	"audio": true, "audios": true, "sound": true, "sounds": true, "wav": true, "wavs": true,
	"text": true, "texts": true, "caption": true, "captions": true, "txt": true,
	"video": true, "videos": true, "clip": true, "clips": true,
	"depth": true, "depths": true, "thermal": true, "infrared": true, "imu": true,
}

// folderFormats name the modalities that only a folder tells, for their files are of the kinds that others
// use as well: the extensions that a file of the folder has.
var folderFormats = map[string]struct {
	modality   sample.Modality
	extensions string
}{
	"depth":    {sample.Depth, ".png .tif .tiff .jpg .jpeg .npy .exr .pgm .pfm"},
	"depths":   {sample.Depth, ".png .tif .tiff .jpg .jpeg .npy .exr .pgm .pfm"},
	"thermal":  {sample.Thermal, ".png .tif .tiff .jpg .jpeg .bmp .npy .exr .pgm .pfm"},
	"infrared": {sample.Thermal, ".png .tif .tiff .jpg .jpeg .bmp .npy .exr .pgm .pfm"},
	"imu":      {sample.IMU, ".csv .npy .parquet"},
}

// aboutTheData are stems of text files that describe a data set and caption nothing.
var aboutTheData = map[string]bool{
	"readme": true, "license": true, "licence": true, "copying": true, "copyright": true, "changelog": true,
	"authors": true, "credits": true, "intrinsics": true, "provenance": true, "requirements": true,
}

// classify tells a file's key, its folders without those of a modality, and what it is.
func classify(name string) (key string, dirs []string, m sample.Modality, ok bool) {
	whole, m, ok := stem(name)
	dir, base := path.Split(name)
	for d := range strings.SplitSeq(strings.TrimSuffix(dir, "/"), "/") {
		low := strings.ToLower(d)
		if f, is := folderFormats[low]; is {
			ext := path.Ext(base)
			for e := range strings.FieldsSeq(f.extensions) {
				if strings.EqualFold(e, ext) {
					whole, m, ok = strings.TrimSuffix(name, ext), f.modality, true
				}
			}
		}
		if d != "" && !modalityFolders[low] {
			dirs = append(dirs, d)
		}
	}
	if !ok {
		return "", nil, 0, false
	}
	return norm.NFC.String(path.Join(path.Join(dirs...), path.Base(whole))), dirs, m, true
}

func findsPairs(t *tree) bool {
	for _, f := range t.files {
		if _, _, _, ok := classify(f.name); ok {
			return true
		}
	}
	return len(pairSensors(t).of) > 0
}

// listPairs groups files that share a stem, beside each other or in folders of their modality. The key is
// the path without extension and without folders named after a modality, so that train/images/x.jpg and
// train/audio/x.wav meet in train/x; letters that a system writes as two characters (NFD) count as one.
// Files in folders depth, thermal (or infrared) and imu are of that modality.
//
// Two tables that are called alike but for the name of a sensor (walk_accel.csv and walk_gyro.csv,
// walk/Accelerometer.csv and walk/Gyroscope.csv, accel/walk.csv and gyro/walk.csv) are one recording, walk, in a
// folder imu and elsewhere.
//
// A second file of one modality beside the first (x.jpg and x.png) is another form of the same: the first
// by path counts, a note tells of the other. A second one from another folder (images/x.jpg and
// frames/x.jpg) is a sample of its own under its whole path. Names that only begin alike share nothing:
// x_desc.ogg is another stem than x.png.
//
// A video brings its sound unless a sound file is there. A text that stands alone and is called README,
// LICENSE or the like is passed over.
func listPairs(ctx context.Context, t *tree, o Options) (*Listing, error) {
	l := &Listing{}
	index := map[string]int{}
	ignored := map[string]int{}
	sensors := pairSensors(t)
	var forms, apart, others tally
	for i, f := range t.files {
		if i%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		key, dirs, m, ok := classify(f.name)
		if other, passed := sensors.passed[i]; passed {
			if other {
				others.add(f.name)
			}
			continue
		}
		pair, joined := sensors.of[i]
		if joined {
			// as if the recording were one file of that name in a folder imu; that of s1/imu/accel.csv is s1
			whole := pair.whole
			for modalityFolders[strings.ToLower(path.Base(whole))] && path.Dir(whole) != "." {
				whole = path.Dir(whole)
			}
			key, dirs, m, ok = classify(path.Join("imu", whole+".csv"))
		}
		if !ok {
			ignored[strings.ToLower(path.Ext(f.name))]++
			continue
		}
		part := sample.Part{Modality: m, Path: f.name, Size: f.size}
		if joined {
			part.Gyro, part.GyroSize = t.files[pair.gyro].name, t.files[pair.gyro].size
		}
		at, ok := index[key]
		if ok {
			if p := l.Samples[at].Part(m); p != nil {
				if path.Dir(p.Path) == path.Dir(f.name) {
					forms.add(fmt.Sprintf("%s beside %s", f.name, path.Base(p.Path)))
					continue
				}
				whole := norm.NFC.String(strings.TrimSuffix(f.name, path.Ext(f.name)))
				if at, ok := index[whole]; !ok {
					key = whole
				} else if p := l.Samples[at].Part(m); p != nil && path.Dir(p.Path) == path.Dir(f.name) {
					forms.add(fmt.Sprintf("%s beside %s", f.name, path.Base(p.Path)))
					continue
				} else {
					key = f.name // x.jpg after images/x.jpg: its whole path is the key that is taken
				}
				apart.add(key)
				ok = false
			}
		}
		if !ok {
			at = len(l.Samples)
			index[key] = at
			l.Samples = append(l.Samples, sample.Sample{Key: key})
			if o.FolderLabels && len(dirs) > 0 {
				l.Samples[at].Labels = []string{strings.ToValidUTF8(dirs[len(dirs)-1], "\uFFFD")}
			}
		}
		add(&l.Samples[at], part)
	}
	var about tally
	kept := l.Samples[:0]
	for i := range l.Samples {
		s := &l.Samples[i]
		if len(s.Parts) == 1 && s.Parts[0].Modality == sample.Text && aboutTheData[strings.ToLower(path.Base(s.Key))] {
			about.add(s.Parts[0].Path)
			continue
		}
		addVideoSound(s)
		addTexts(s, captionsOf(o.Templates, s.Labels))
		kept = append(kept, *s)
	}
	l.Samples = kept
	if len(l.Samples) == 0 {
		return nil, fault.Inputf("%s holds %d files (%s) and no picture, sound, video or caption among them (%s …)",
			t.given, len(t.files), t.kinds(), someExtensions())
	}
	if forms.n > 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("%s passed over for another form of the same stem and modality: %s", forms.count("file was", "files were"), forms))
	}
	if apart.n > 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("%s with a stem and modality that another folder has too, under the whole path: %s", apart.count("sample was made of a file", "samples were made of files"), apart))
	}
	if others.n > 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("%s beside a recording's accelerometer and gyroscope, and passed over: %s", others.count("table lies", "tables lie"), others))
	}
	if about.n > 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("%s about the data and passed over: %s", about.count("text is", "texts are"), about))
	}
	if len(ignored) > 0 {
		n := 0
		for _, c := range ignored {
			n += c
		}
		files := tally{n: n}
		l.Notes = append(l.Notes, fmt.Sprintf("%s of a kind that is not read and passed over: %s", files.count("file is", "files are"), countsByExtension(ignored)))
	}
	return l, nil
}

// someExtensions names one kind of file for each modality.
func someExtensions() string {
	var out []string
	last := sample.NumModalities
	for _, f := range media.Formats() {
		if f.Modality != last {
			out, last = append(out, f.Extension), f.Modality
		}
	}
	return strings.Join(out, " ")
}
