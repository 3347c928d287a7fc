package source

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"prep/internal/sample"
)

func TestPairsBesideEachOther(t *testing.T) {
	root := t.TempDir()
	touch(t, root, "a/x.jpg", "a/x.wav", "a/x.txt", "a/y.PNG", "a/y.Mp3", "z.mp4", "v.w.flac", "lonely.txt", "README.txt", "notes.md", "data.bin", "more.md", "b/readme.txt", "b/readme.jpg")
	expect(t, mustList(t, root, Options{}), `
a/x image=a/x.jpg audio=a/x.wav text=a/x.txt
a/y image=a/y.PNG audio=a/y.Mp3
b/readme image=b/readme.jpg text=b/readme.txt
lonely text=lonely.txt
v.w audio=v.w.flac
z video=z.mp4 audio=z.mp4
# 1 text is about the data and passed over: README.txt
# 3 files are of a kind that is not read and passed over: 2 .md, 1 .bin
`)
}

func TestPairsInFoldersOfModality(t *testing.T) {
	root := t.TempDir()
	touch(t, root,
		"images/x.jpg", "audio/x.wav", "text/x.txt",
		"train/Images/cat/1.jpg", "train/sounds/cat/1.ogg", "train/captions/cat/1.txt",
		"val/cat/frames/1.png", "val/cat/wav/1.wav",
		"video/v.mp4", "audio/v.wav", "video/w.mkv", "img/i.bmp",
		"images/d.jpg", "depth/d.png", "thermal/d.png", "imu/d.csv", "depth/e.npy",
		"imaginary/x.jpg", "images/t.jpg", "images/t.txt", "audio/t.flac",
	)
	expect(t, mustList(t, root, Options{}), `
d image=images/d.jpg depth=depth/d.png thermal=thermal/d.png imu=imu/d.csv
e depth=depth/e.npy
i image=img/i.bmp
imaginary/x image=imaginary/x.jpg
t image=images/t.jpg audio=audio/t.flac text=images/t.txt
train/cat/1 image=train/Images/cat/1.jpg audio=train/sounds/cat/1.ogg text=train/captions/cat/1.txt
v video=video/v.mp4 audio=audio/v.wav
val/cat/1 image=val/cat/frames/1.png audio=val/cat/wav/1.wav
w video=video/w.mkv audio=video/w.mkv
x image=images/x.jpg audio=audio/x.wav text=text/x.txt
`)
}

// Nothing is lost where two files want one place: another form of the same is noted, another folder's is a
// sample of its own.
func TestPairsCollide(t *testing.T) {
	root := t.TempDir()
	touch(t, root,
		"a.jpg", "a.png", "a.wav", "a.flac",
		"frames/b.jpg", "images/b.jpg", "images/b.png", "audio/b.wav", "sounds/b.wav",
		"images/c.jpg", "c.jpg", "c.png",
	)
	expect(t, mustList(t, root, Options{}), `
a image=a.jpg audio=a.flac
b image=frames/b.jpg audio=audio/b.wav
c image=c.jpg
images/b image=images/b.jpg
images/c image=images/c.jpg
sounds/b audio=sounds/b.wav
# 4 files were passed over for another form of the same stem and modality: a.png beside a.jpg, a.wav beside a.flac, c.png beside c.jpg, …
# 3 samples were made of files with a stem and modality that another folder has too, under the whole path: images/b, images/c, sounds/b
`)
	// The root's own file after one in a folder of its modality.
	root = t.TempDir()
	touch(t, root, "images/x.jpg", "x.jpg", "x.png")
	expect(t, mustList(t, root, Options{}), `
x image=images/x.jpg
x.jpg image=x.jpg
x.png image=x.png
# 2 samples were made of files with a stem and modality that another folder has too, under the whole path: x.jpg, x.png
`)
}

// Collections of stamps: name.png, name.txt and name.ogg, spoken descriptions by language, settings.
func TestPairsOfStamps(t *testing.T) {
	root := t.TempDir()
	touch(t, root, "animals/dog.png", "animals/dog.txt", "animals/dog.ogg", "animals/dog_desc.ogg", "animals/dog_desc_fr.ogg", "animals/dog.dat", "animals/cat.png", "animals/cat.txt", "animals/fox.svg")
	expect(t, mustList(t, root, Options{}), `
animals/cat image=animals/cat.png text=animals/cat.txt
animals/dog image=animals/dog.png audio=animals/dog.ogg text=animals/dog.txt
animals/dog_desc audio=animals/dog_desc.ogg
animals/dog_desc_fr audio=animals/dog_desc_fr.ogg
# 2 files are of a kind that is not read and passed over: 1 .dat, 1 .svg
`)
}

func TestPairsLabelsOfFolders(t *testing.T) {
	root := t.TempDir()
	touch(t, root, "dog bark/1.wav", "train/rain/audio/2.wav", "train/rain/text/2.txt", "3.wav")
	expect(t, mustList(t, root, Options{FolderLabels: true, Templates: []string{"a sound of {label}"}}), `
3 audio=3.wav
dog bark/1 [dog bark] audio=dog bark/1.wav text="a sound of dog bark"
train/rain/2 [rain] audio=train/rain/audio/2.wav text=train/rain/text/2.txt
`)
}

// Whatever files are called: no sample twice, no file in two, and a recording's two files together.
func FuzzPairs(f *testing.F) {
	for _, names := range []string{
		"images/a.jpg\nimu/a_accel.csv\nimu/a_gyro.csv", "b/Accelerometer.csv\nb/Gyroscope.csv\nb/TotalAcceleration.csv\nb/Gravity.csv",
		"imu/accel.npy\nimu/gyro.npy\nimu/imu.csv", "accel/1.csv\ngyro/1.csv\nimu/1.csv", "imu/imu/acc.csv\nimu/imu/gyr.csv\nacc.csv\ngyr.csv",
		"x.jpg\nimages/x.jpg\nframes/x.png\nx.txt", "acc/gyro.csv\nacc/acc.csv\n_acc.csv\n-gyr.csv\n.acc.csv",
	} {
		f.Add(names)
	}
	f.Fuzz(func(t *testing.T, names string) {
		tr := &tree{}
		for name := range strings.SplitSeq(names, "\n") {
			if fs.ValidPath(name) && name != "." {
				tr.files = append(tr.files, treeFile{name, 1})
			}
		}
		slices.SortFunc(tr.files, func(a, b treeFile) int { return strings.Compare(a.name, b.name) })
		tr.files = slices.CompactFunc(tr.files, func(a, b treeFile) bool { return a.name == b.name })
		l, err := listPairs(t.Context(), tr, Options{FolderLabels: true})
		if err != nil {
			wantInput(t, err)
			return
		}
		used := map[string]bool{}
		for i := range l.Samples {
			for _, p := range l.Samples[i].Parts {
				for _, name := range []string{p.Path, p.Gyro} {
					if name != "" && p.Modality != sample.Audio && used[name] { // a video's sound is the video
						t.Errorf("%s is in two samples", name)
					}
					used[name] = true
				}
			}
		}
		finish(l)
		check(t, l)
	})
}
