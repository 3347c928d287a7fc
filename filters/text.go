package filters

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"prep/configs"
	"prep/internal/sample"
)

// MeasureText counts a caption in characters, words and code points, and says where it is none. Tokens are the
// caller's to count.
func MeasureText(caption string) sample.Metrics {
	caption = trim(caption)
	m := sample.Metrics{
		"text_chars":       int64(characters(caption)),
		"text_words":       int64(words(caption)),
		"text_code_points": int64(utf8.RuneCountInString(caption)),
	}
	if kind := boilerplate(caption); kind != "" {
		m["text_boilerplate"] = kind
	}
	return m
}

// trim takes white space off both ends, and what shows as little: controls, marks of order, zero-width spaces.
func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || invisible(r) })
}

func invisible(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf) && !unicode.IsSpace(r) }

// characters counts what a person takes for one character (grapheme clusters, Unicode UAX 29). Clusters of
// which nothing shows are none.
func characters(s string) (n int) {
	for state := -1; s != ""; {
		var cluster string
		cluster, s, _, state = uniseg.FirstGraphemeClusterInString(s, state)
		if strings.ContainsFunc(cluster, func(r rune) bool { return !invisible(r) }) {
			n++
		}
	}
	return n
}

// words counts the words by Unicode UAX 29 that hold a letter or a number. In scripts without spaces between
// words, which need a dictionary, a word is a character (Chinese, Japanese) or a run (Thai).
func words(s string) (n int) {
	for state := -1; s != ""; {
		var word string
		word, s, state = uniseg.FirstWordInString(s, state)
		if strings.ContainsFunc(word, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
			n++
		}
	}
	return n
}

// boilerplates tell what stands where a caption should be, by the patterns that collections of alt texts and
// file metadata are full of. They match whole captions in small letters: a sentence that holds such a phrase is
// a caption.
var boilerplates = []struct {
	kind    string
	pattern *regexp.Regexp
}{
	{"url", regexp.MustCompile(`^(https?://|www\.)\S+$`)},
	{"file_name", regexp.MustCompile(`^\S*\.(jpe?g|png|gif|bmp|tiff?|webp|heic|wav|mp3|flac|ogg|opus|m4a|mp4|mov|avi|mkv|webm|txt|pdf)$`)},
	// Cameras and telephones: IMG_1234, DSC00042, P1010023, 20190704_153012, Screenshot 2020-01-01 at 10.00.00
	{"file_name", regexp.MustCompile(`^(img|dsc[nf]?|dscn|p|pict|image|photo|mvi|mov|vid|video|gopr|dji|pxl|wp|cimg|sam|scan|untitled|screenshot|screen shot|whatsapp (image|video|audio)|voice|rec|recording|audio|track|clip)?[ _-]*\(?[0-9][0-9 _.:,()at-]*$`)},
	{"placeholder", regexp.MustCompile(`^[\W_]*(n/?a|none|null|nil|nan|undefined|unknown|untitled|no (caption|description|title|name|text|alt text|image|audio)( available| provided| yet)?|image|images|img|photo|photos|picture|pic|thumbnail|logo|icon|banner|video|audio|sound|track|file|caption|description|title|text|todo|tbd|test|lorem ipsum.*|click (here|to enlarge|to view.*)|enlarge|loading|image (not found|unavailable|coming soon|placeholder)|placeholder)[\W_]*$`)},
	{"credit", regexp.MustCompile(`^(©|\(c\)|copyright|photo (by|credit|courtesy)|image (by|credit|courtesy|via)|picture by|credit:|source:|getty images|shutterstock|istock|alamy|all rights reserved)[^.!?]*[.!?]?$`)},
}

// boilerplate names the kind, "" for a caption.
func boilerplate(caption string) string {
	if len(caption) == 0 || len(caption) > 200 {
		return ""
	}
	s := strings.ToLower(caption)
	for _, b := range boilerplates {
		if b.pattern.MatchString(s) {
			return b.kind
		}
	}
	return ""
}

// textUnit is what the length of a caption is counted in.
type textUnit struct {
	metric, plural string
	less           float64 // taken off the metric: what is not the caption's
}

var textUnits = map[string]textUnit{
	"characters":  {"text_chars", "characters", 0},
	"words":       {"text_words", "words", 0},
	"tokens":      {"text_tokens", "tokens", 2},
	"code_points": {"text_code_points", "code points", 0},
}

// TextMetric names the column that the length of captions is judged by.
func TextMetric(unit string) string { return textUnits[unit].metric }

func judgeText(unit textUnit) func(cfg configs.Rule, m sample.Metrics) Verdict {
	return func(cfg configs.Rule, m sample.Metrics) Verdict {
		n, ok := m.Number(unit.metric)
		n -= unit.less
		switch {
		case !ok:
			return Verdict{} // no caption
		case cfg.Min != nil && n < *cfg.Min:
			return Verdict{Drop: true, Reason: "short_text", Detail: fmt.Sprintf("the caption has %g %s, fewer than %g", n, unit.plural, *cfg.Min)}
		case cfg.Max != nil && n >= *cfg.Max:
			return Verdict{Drop: true, Reason: "long_text", Detail: fmt.Sprintf("the caption has %g %s; %g or more are too many", n, unit.plural, *cfg.Max)}
		}
		return Verdict{}
	}
}
