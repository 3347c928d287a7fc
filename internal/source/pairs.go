package source

import (
	"context"
	"fmt"
	"path"
	"strings"

	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/sample"
)

// modalityFolders are names that people give to a folder of one modality.
var modalityFolders = map[string]bool{
	"image": true, "images": true, "img": true, "imgs": true, "frame": true, "frames": true, "picture": true, "pictures": true,
	"audio": true, "audios": true, "sound": true, "sounds": true, "wav": true, "wavs": true,
	"text": true, "texts": true, "caption": true, "captions": true, "txt": true,
	"video": true, "videos": true, "depth": true, "thermal": true, "imu": true,
}

// folderModality tells depth and thermal pictures from ordinary ones: by their folder, for the files are
// of the same kind.
var folderModality = map[string]sample.Modality{"depth": sample.Depth, "thermal": sample.Thermal, "imu": sample.IMU}

func findsPairs(t *tree) bool {
	for name := range t.files {
		if _, ok := media.ModalityOf(name); ok {
			return true
		}
	}
	return false
}

// listPairs groups files that share a stem. The key is the relative path without extension; a folder
// named after a modality (images/, audio/, text/) is left out of it, so that images/x.jpg and audio/x.wav
// meet. Of two files of one modality with the same stem the first in order counts and a note tells of the
// other. A video brings its sound unless a sound file is there.
func listPairs(ctx context.Context, t *tree, o Options) (*Listing, error) {
	l := &Listing{}
	index := map[string]int{}
	ignored := 0
	for _, name := range t.sorted() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		key, m, ok := stem(name)
		if !ok {
			ignored++
			continue
		}
		dirs := strings.Split(path.Dir(key), "/")
		kept := dirs[:0:0]
		for _, d := range dirs {
			low := strings.ToLower(d)
			if f, ok := folderModality[low]; ok && m == sample.Image {
				m = f
			}
			if d != "." && !modalityFolders[low] {
				kept = append(kept, d)
			}
		}
		key = path.Join(path.Join(kept...), path.Base(key))
		i, ok := index[key]
		if !ok {
			i = len(l.Samples)
			index[key] = i
			l.Samples = append(l.Samples, sample.Sample{Key: key})
		}
		s := &l.Samples[i]
		if p := s.Part(m); p != nil {
			l.Notes = append(l.Notes, fmt.Sprintf("%s: %s counts, %s does not (same stem, same modality)", key, p.Path, name))
			continue
		}
		add(s, sample.Part{Modality: m, Path: name, Size: t.files[name]})
	}
	for i := range l.Samples {
		s := &l.Samples[i]
		if v := s.Part(sample.Video); v != nil && s.Part(sample.Audio) == nil {
			add(s, sample.Part{Modality: sample.Audio, Path: v.Path, Size: v.Size})
		}
	}
	if len(l.Samples) == 0 {
		return nil, fault.Inputf("%s holds %d files and no picture, sound, video or .txt among them", t.root, len(t.files))
	}
	if ignored > 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("%d files are of kinds that are not read and were passed over", ignored))
	}
	return l, nil
}
