package source

import (
	"context"
	"fmt"
	"io"
	"math"
	"path"
	"strconv"
	"strings"

	"prep/internal/fault"
	"prep/internal/media"
	"prep/internal/sample"
)

// sunBaselines are the distances between the two eyes of SUN RGB-D's sensors in metres, by the folder of a
// sensor: what omnivore's and ImageBind's authors took (facebookresearch/omnivore issue 12; that of the xtion is
// their guess).
var sunBaselines = map[string]float64{"kv1": 0.075, "kv1_b": 0.075, "kv2": 0.075, "realsense": 0.095, "xtion": 0.095}

// sunScene gathers the files of one view.
type sunScene struct {
	dir               string
	image, raw, bfx   *treeFile
	intrinsics, scene *treeFile
	many              bool // several pictures: a folder of frames with one camera, and no view
}

// sunFile tells what a file is in the layout: its view's folder and the place that it takes in it.
func sunFile(name string) (dir, place string) {
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	switch {
	case base == "intrinsics.txt", base == "scene.txt":
		return dir, base
	}
	m, ok := media.ModalityOf(base)
	if !ok || m != sample.Image {
		return "", ""
	}
	view, folder := path.Split(dir)
	view = strings.TrimSuffix(view, "/")
	switch folder {
	case "image", "depth", "depth_bfx":
		return view, folder
	}
	return "", ""
}

// sunScenes finds the views: folders with intrinsics.txt and with pictures and depth below them.
func sunScenes(t *tree) []*sunScene {
	byDir := map[string]*sunScene{}
	var order []*sunScene
	for i := range t.files {
		f := &t.files[i]
		dir, place := sunFile(f.name)
		if place == "" {
			continue
		}
		s := byDir[dir]
		if s == nil {
			s = &sunScene{dir: dir}
			byDir[dir] = s
			order = append(order, s)
		}
		slot := map[string]**treeFile{"image": &s.image, "depth": &s.raw, "depth_bfx": &s.bfx, "intrinsics.txt": &s.intrinsics, "scene.txt": &s.scene}[place]
		if *slot == nil {
			*slot = f
		} else if place == "image" {
			s.many = true
		}
	}
	kept := order[:0]
	for _, s := range order {
		if s.intrinsics != nil && !s.many && (s.image != nil || s.raw != nil || s.bfx != nil) {
			kept = append(kept, s)
		}
	}
	return kept
}

func findsSUNRGBD(t *tree) bool {
	for _, s := range sunScenes(t) {
		if s.image != nil && (s.raw != nil || s.bfx != nil) {
			return true
		}
	}
	return false
}

// sunKey names a view by its path from the sensor's folder on: kv1/NYUdata/NYU0001.
func sunKey(dir string) (key string, baseline float64) {
	parts := strings.Split(dir, "/")
	for i, p := range parts {
		if b, ok := sunBaselines[p]; ok {
			return strings.Join(parts[i:], "/"), b
		}
	}
	return dir, 0
}

// listSUNRGBD reads SUN RGB-D as it is published (SUNRGBD.zip), the whole of it or a part:
//
//	SUNRGBD/kv1/NYUdata/NYU0001/image/NYU0001.jpg
//	                            depth/NYU0001.png        as the sensor gave it, rotated by three bits
//	                            depth_bfx/NYU0001.png    filled and refined
//	                            intrinsics.txt           3 x 3 on one line or three: fx is the first number
//	                            scene.txt                the kind of room
//	SUNRGBD/{kv1/b3dodata,kv2/…,realsense/…,xtion/…}     the same, below folders of any depth
//
// A view is one sample: its picture, its depth (Options.SUNDepth says which) with focal length and the
// sensor's baseline, its scene as label and, by Options.SceneTemplate, as caption; "idk" is none. Pictures of
// fullres/, annotations and segmentations are passed over. The key is the path from the sensor's folder on.
// A view that lacks its picture or its depth fails as "missing", one whose intrinsics hold no focal length as
// "bad_intrinsics".
func listSUNRGBD(ctx context.Context, t *tree, o Options) (*Listing, error) {
	scenes := sunScenes(t)
	if len(scenes) == 0 {
		return nil, fault.Inputf("%s holds no view of SUN RGB-D: want folders with image/, depth/ or depth_bfx/, and intrinsics.txt", t.given)
	}
	l := &Listing{}
	var unknown, noScene, other tally
	for i, v := range scenes {
		if i%256 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var s sample.Sample
		var baseline float64
		s.Key, baseline = sunKey(v.dir)
		if s.Key == "" {
			s.Key = path.Base(t.root)
		}
		if baseline == 0 {
			unknown.add(s.Key)
		}
		depth := v.bfx
		if o.SUNDepth == "depth" || depth == nil {
			depth = v.raw
		}
		if depth == nil {
			depth = v.bfx
		}
		if depth != nil && (o.SUNDepth == "depth") == (depth == v.bfx) {
			other.add(s.Key)
		}
		if v.image != nil {
			s.Parts = append(s.Parts, sample.Part{Modality: sample.Image, Path: v.image.name, Size: v.image.size})
		}
		if depth != nil {
			p := sample.Part{Modality: sample.Depth, Path: depth.name, Size: depth.size, Encoding: "sunrgbd", Baseline: baseline}
			var err error
			if p.Focal, err = readFocal(t, v.intrinsics.name); err != nil {
				s.Problem, s.ProblemDetail = "bad_intrinsics", err.Error()
			}
			s.Parts = append(s.Parts, p)
		}
		switch {
		case v.image == nil:
			s.Problem, s.ProblemDetail = "missing", fmt.Sprintf("%s/image holds no picture", v.dir)
		case depth == nil:
			s.Problem, s.ProblemDetail = "missing", fmt.Sprintf("%s holds no depth/ or depth_bfx/", v.dir)
		}
		if scene := readScene(t, v.scene); scene != "" {
			s.Labels = []string{scene}
			addTexts(&s, captionsOf([]string{o.SceneTemplate}, s.Labels))
		} else {
			noScene.add(s.Key)
		}
		l.Samples = append(l.Samples, s)
	}
	if unknown.n > 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("%s in no folder of a known sensor (kv1, kv2, realsense, xtion); depth.baseline_m stands for its baseline: %s", unknown.count("view is", "views are"), unknown))
	}
	if noScene.n > 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("%s no scene.txt that names a scene, and no caption: %s", noScene.count("view has", "views have"), noScene))
	}
	if other.n > 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("%s not the depth that source.sun_depth names; the other one is taken: %s", other.count("view has", "views have"), other))
	}
	return l, nil
}

// readSmall reads a text file that holds a line or three.
func readSmall(t *tree, name string) (string, error) {
	f, err := t.open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	return string(b), err
}

// readFocal reads fx, the first number of intrinsics.txt.
func readFocal(t *tree, name string) (float64, error) {
	text, err := readSmall(t, name)
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return 0, fmt.Errorf("%s is empty; want a 3 x 3 matrix that begins with the focal length", name)
	}
	f, err := strconv.ParseFloat(fields[0], 64)
	if err != nil || !(f >= 1) || math.IsInf(f, 0) || f > 1e6 {
		return 0, fmt.Errorf("%s begins with %.20q, which is no focal length in pixels", name, fields[0])
	}
	return f, nil
}

// readScene reads the kind of room, its underscores as spaces; "" when nobody knew.
func readScene(t *tree, f *treeFile) string {
	if f == nil {
		return ""
	}
	text, err := readSmall(t, f.name)
	if err != nil {
		return ""
	}
	scene := strings.TrimSpace(strings.ToValidUTF8(strings.ReplaceAll(text, "_", " "), "\uFFFD"))
	if scene == "idk" || len(scene) > 200 || strings.ContainsAny(scene, "\n\x00") {
		return ""
	}
	return scene
}
