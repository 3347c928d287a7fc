package cli

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/klauspost/cpuid/v2"
	"github.com/urfave/cli/v2"

	"prep/configs"
	"prep/internal/fault"
	"prep/internal/media/mp3"
	"prep/mel"
	"prep/trainer/device"
)

// version is the release this tree will become.
const version = "0.1.0-dev"

// toolVersion names the program in manifests. It must not depend on the build, or two machines with the
// same release would write different manifests.
func toolVersion() string { return "prep " + version }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (s *session) versionCommand() *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "print the version and how the program was built",
		Flags: []cli.Flag{jsonFlag}, OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			fmt.Fprintf(s.results(c), "%s (%s, %s/%s, GOEXPERIMENT=%s, kernels %s)\n", toolVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH, experiment(), mel.Variant())
			return s.summary(c, map[string]any{"command": "version", "version": version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH, "experiment": experiment(), "kernels": mel.Variant()})
		},
	}
}

func (s *session) configCommand() *cli.Command {
	return &cli.Command{
		Name: "config", Usage: "print the effective configuration, every key with its default and reason",
		UsageText: "prep config --show [--config FILE] [--preset NAME] [--model NAME]",
		Flags: []cli.Flag{jsonFlag,
			&cli.BoolFlag{Name: "show", Usage: "print it as YAML (what this command does in any case)"},
			configFlag,
			&cli.StringFlag{Name: "preset", Value: configs.DataPresets[0], Usage: "data preset: " + strings.Join(configs.DataPresets, ", ")},
			&cli.StringFlag{Name: "model", Value: configs.ModelPresets[0], Usage: "model preset: " + strings.Join(configs.ModelPresets, ", ")},
		},
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return fault.Usagef("config takes no argument; a file is given with --config")
			}
			l, err := readLayers(c)
			if err != nil {
				return err
			}
			l.DataPreset, l.ModelPreset = c.String("preset"), c.String("model")
			if err := configs.Show(s.results(c), l); err != nil {
				return err
			}
			cfg, err := configs.Load(l)
			if err != nil {
				return err
			}
			return s.summary(c, map[string]any{"command": "config", "config": cfg})
		},
	}
}

func (s *session) doctorCommand() *cli.Command {
	return &cli.Command{
		Name: "doctor", Usage: "list what this machine offers, and what each thing gives",
		Flags: []cli.Flag{jsonFlag}, OnUsageError: usageError,
		Action: s.doctor,
	}
}

// finding is one line of doctor.
type finding struct {
	Name  string `json:"name"`
	Found bool   `json:"found"`
	What  string `json:"what"`
	Gives string `json:"gives"`
}

func (s *session) doctor(c *cli.Context) error {
	tools := findTools(c.Context)
	plugin := pjrtPlugin(c.Context)
	list := []finding{
		{"processor", true, fmt.Sprintf("%s, %d cores in use", cpuid.CPU.BrandName, runtime.GOMAXPROCS(0)), "ingest works on one sample a core; --workers changes it"},
		{"SIMD", strings.Contains(experiment(), "simd"), simdState(), "the transform and the metrics of sound are faster"},
		{"ffmpeg", tools.Version(c.Context) != "", orMissing(tools.FFmpeg, tools.Version(c.Context), "install ffmpeg, or name one in PREP_FFMPEG"), "video, AAC, Opus, WebM, AMR and whatever else it reads"},
		{"ffprobe", tools.FFprobe != "", orMissing(tools.FFprobe, "", "comes with ffmpeg"), "start times of any container; MP4 is read without it"},
		{"libjpeg-turbo", tools.Turbo != nil, foundOr(tools.Turbo != nil, "libturbojpeg, opened at run time", "Debian: libturbojpeg0"), "progressive JPEG sooner, and arithmetic coding; without it Go decodes the rest to the same pixels, Pillow's"},
		libraryFinding("libmpg123", tools.MPG123 != nil, tools.MP3Library(), "libmpg123-0", mp3Gain()),
		{"libsndfile", false, soundFile(), "nothing: Go reads WAV, FLAC, Vorbis and Opus faster, and MP3 as fast or by libmpg123"},
		plugin,
		{"free disk", true, freeDisk("."), "a sample with picture and sound takes about 0.3 MB of shard"},
	}
	w := tabwriter.NewWriter(s.results(c), 0, 8, 2, ' ', 0)
	for _, f := range list {
		mark := "-"
		if f.Found {
			mark = "+"
		}
		fmt.Fprintf(w, "%s %s\t%s\t%s\n", mark, f.Name, f.What, f.Gives)
	}
	w.Flush()
	return s.summary(c, map[string]any{"command": "doctor", "findings": list})
}

// mp3Gain says what libmpg123 is good for in this build.
func mp3Gain() string {
	if mp3.Fast {
		return "nothing, unless audio.mp3 asks for it: Go reads MP3 as fast, the same samples but for 2e-6"
	}
	return "MP3 in 0.6 of the time that Go takes, the same samples but for 2e-6"
}

func orMissing(found, version, hint string) string {
	if found == "" {
		return "not found: " + hint
	}
	return strings.TrimSpace(found + " " + version)
}

func foundOr(found bool, what, hint string) string {
	if found {
		return what
	}
	return "not found: " + hint
}

// libraryFinding tells of a library that decodes sound; name is what it is pinned by, "" when it does not work.
func libraryFinding(library string, opened bool, name, debian, gives string) finding {
	f := finding{Name: library, Found: name != "", What: name + ", opened at run time", Gives: gives}
	switch {
	case !opened:
		f.What = "not found: Debian: " + debian
	case name == "":
		f.What = "found, but it does not decode a known sound: not used"
	}
	return f
}

// simdState says whether this build and this processor have vector paths.
func simdState() string {
	level := "no AVX2"
	switch {
	case cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512DQ, cpuid.AVX512BW, cpuid.AVX512VL):
		level = "AVX-512"
	case cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3):
		level = "AVX2"
	}
	if strings.Contains(experiment(), "simd") {
		return "the processor has " + level + ", and this build uses it"
	}
	return "the processor has " + level + "; this build uses it only in part (build with GOEXPERIMENT=simd)"
}

// experiment is the GOEXPERIMENT setting of the build.
func experiment() string {
	if bi, ok := debug.ReadBuildInfo(); ok {
		for _, kv := range bi.Settings {
			if kv.Key == "GOEXPERIMENT" {
				return kv.Value
			}
		}
	}
	return ""
}

// firstFile returns the first of the paths that exists.
func firstFile(paths ...string) string {
	for _, p := range paths {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	return ""
}

func soundFile() string {
	p := firstFile("/usr/lib/x86_64-linux-gnu/libsndfile.so.1", "/usr/lib/aarch64-linux-gnu/libsndfile.so.1", "/usr/lib64/libsndfile.so.1", "/usr/lib/libsndfile.so.1", "/opt/homebrew/lib/libsndfile.dylib")
	return orMissing(p, "", "not needed")
}

// pjrtPlugin looks for what XLA computes on, and opens the best of it in a child process.
func pjrtPlugin(ctx context.Context) finding {
	f := finding{Name: "PJRT plugin", Gives: "training on GPUs, and faster on the CPU, through XLA (--device; docs/gpu.md)"}
	found := device.Find("")
	if len(found) == 0 {
		f.What = fmt.Sprintf("not found in %s or pip's site-packages: for NVIDIA pip install %s", device.PluginEnv, device.CUDAPackage)
		return f
	}
	r, err := device.Check(ctx, nil, found[0])
	if err != nil {
		f.What = err.Error()
		return f
	}
	f.Found, f.What = true, r.String()
	return f
}

// checkPluginCommand is the child process in which a plugin is tried.
func (s *session) checkPluginCommand() *cli.Command {
	return &cli.Command{
		Name: device.CheckArg, Hidden: true, Usage: "open a PJRT plugin and report on it", UsageText: "prep " + device.CheckArg + " PLUGIN.so",
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			path, err := oneArg(c, "")
			if err != nil {
				return err
			}
			report, err := device.Probe(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.stdout, "%s\n", report)
			return nil
		},
	}
}

func (s *session) completionCommand() *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "print a completion script: source <(prep completion bash)",
		UsageText: "prep completion bash|zsh|fish", OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			shell, err := oneArg(c, "bash")
			if err != nil {
				return err
			}
			switch shell {
			case "bash":
				fmt.Fprint(s.stdout, bashCompletion)
			case "zsh":
				fmt.Fprint(s.stdout, zshCompletion)
			case "fish":
				script, err := c.App.ToFishCompletion()
				if err != nil {
					return err
				}
				fmt.Fprint(s.stdout, script)
			default:
				return fault.Usagef("no completion for %q (have bash, zsh, fish)", shell)
			}
			return nil
		},
	}
}

const bashCompletion = `_prep() {
  local words
  words=$("${COMP_WORDS[@]:0:COMP_CWORD}" --generate-bash-completion 2>/dev/null)
  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}") $(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o filenames -F _prep prep
`

const zshCompletion = `#compdef prep
_prep() {
  local -a found
  found=("${(@f)$(${words[@]:0:$((CURRENT-1))} --generate-bash-completion 2>/dev/null)}")
  compadd -a found
  _files
}
compdef _prep prep
`
