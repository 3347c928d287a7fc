package source

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/sample"
)

// llvipPair is one view of both cameras.
type llvipPair struct {
	key               string
	visible, infrared *treeFile
}

// llvipFile tells whether a file is one of the two pictures: LLVIP/{visible,infrared}/{train,test}/010001.jpg.
func llvipFile(name string) (key, camera string) {
	parts := strings.Split(name, "/")
	if len(parts) < 3 {
		return "", ""
	}
	camera, split, base := parts[len(parts)-3], parts[len(parts)-2], parts[len(parts)-1]
	m, ok := media.ModalityOf(base)
	if !ok || m != sample.Image || camera != "visible" && camera != "infrared" || split != "train" && split != "test" && split != "val" {
		return "", ""
	}
	return path.Join(path.Join(parts[:len(parts)-3]...), split, strings.TrimSuffix(base, path.Ext(base))), camera
}

func findsLLVIP(t *tree) bool {
	seen := map[string]bool{} // views of the visible camera; infrared/ comes before it
	for _, f := range t.files {
		switch key, camera := llvipFile(f.name); camera {
		case "infrared":
			seen[key] = true
		case "visible":
			if seen[key] {
				return true
			}
		}
	}
	return false
}

// listLLVIP reads LLVIP as it is published (LLVIP.zip):
//
//	LLVIP/visible/{train,test}/010001.jpg     the picture
//	LLVIP/infrared/{train,test}/010001.jpg    heat, registered to it pixel for pixel
//	LLVIP/Annotations/010001.xml              boxes of pedestrians, passed over
//
// A pair is one sample: picture and thermal. The key is train/010001. A picture without its partner fails as
// "missing". There are no captions.
func listLLVIP(ctx context.Context, t *tree, o Options) (*Listing, error) {
	byKey := map[string]*llvipPair{}
	var order []*llvipPair
	var boxes tally
	prefixes := map[string]bool{}
	for i := range t.files {
		if i%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		f := &t.files[i]
		key, camera := llvipFile(f.name)
		if camera == "" {
			if strings.EqualFold(path.Ext(f.name), ".xml") {
				boxes.add(f.name)
			}
			continue
		}
		p := byKey[key]
		if p == nil {
			p = &llvipPair{key: key}
			byKey[key] = p
			order = append(order, p)
			prefixes[path.Dir(path.Dir(key))] = true
		}
		if camera == "visible" {
			p.visible = f
		} else {
			p.infrared = f
		}
	}
	if len(order) == 0 {
		return nil, fault.Inputf("%s holds no pair of LLVIP: want visible/{train,test}/ and infrared/{train,test}/ with pictures of the same names", t.given)
	}
	l := &Listing{}
	for _, p := range order {
		s := sample.Sample{Key: p.key}
		if len(prefixes) == 1 { // the folder that the archive unpacks to tells nothing
			s.Key = path.Join(path.Base(path.Dir(p.key)), path.Base(p.key))
		}
		if p.visible != nil {
			s.Parts = append(s.Parts, sample.Part{Modality: sample.Image, Path: p.visible.name, Size: p.visible.size})
		}
		if p.infrared != nil {
			s.Parts = append(s.Parts, sample.Part{Modality: sample.Thermal, Path: p.infrared.name, Size: p.infrared.size})
		}
		if len(s.Parts) < 2 {
			lacks := "infrared"
			if p.visible == nil {
				lacks = "visible"
			}
			s.Problem, s.ProblemDetail = "missing", fmt.Sprintf("%s has no picture of its name in %s/", s.Parts[0].Path, lacks)
		}
		l.Samples = append(l.Samples, s)
	}
	slices.SortStableFunc(l.Samples, func(a, b sample.Sample) int { return strings.Compare(a.Key, b.Key) })
	if boxes.n > 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("%s of boxes passed over: %s", boxes.count("annotation", "annotations"), boxes))
	}
	return l, nil
}
