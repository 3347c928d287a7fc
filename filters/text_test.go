package filters

import (
	"slices"
	"strings"
	"testing"

	"prep/configs"
	"prep/internal/sample"
)

func TestMeasureText(t *testing.T) {
	for _, c := range []struct {
		text                   string
		chars, words, codeUnit int64
	}{
		{"", 0, 0, 0},
		{"   \t\r\n", 0, 0, 0},
		{"\u200b\u200b\u200b\ufeff\u200b\u200b", 0, 0, 0}, // shows nothing
		{"a dog", 5, 2, 5},
		{" \u00a0a dog\u3000\n", 5, 2, 5},
		{"caf\u0065\u0301", 4, 1, 5},
		{"👍🏽", 1, 0, 2},
		{"👩‍👩‍👧‍👦 🇩🇪", 3, 0, 10},
		{"नमस्ते", 4, 1, 6}, // before Unicode 15.1, which keeps conjuncts together
		{"你好世界", 4, 4, 4},
		{"it's 3.5 metres - or so", 23, 5, 23},
		{"a\u200bb", 2, 2, 3},
		{"e\u0301\u0302\u0303\u0304", 1, 1, 5},
		{"\U000E0067\U000E0062", 0, 0, 0}, // tags without a flag
		{strings.Repeat("x", 5000), 5000, 1, 5000},
	} {
		m := MeasureText(c.text)
		if m["text_chars"] != c.chars || m["text_words"] != c.words || m["text_code_points"] != c.codeUnit {
			t.Errorf("%q: %v, want %d characters, %d words, %d code points", c.text, m, c.chars, c.words, c.codeUnit)
		}
	}
}

func TestBoilerplate(t *testing.T) {
	for kind, texts := range map[string][]string{
		"": {"a dog", "A photo of 3 dogs", "IMG_1234 shows a dog", "photo by the lake, at night. A heron waits.", "Rain",
			"The Icon", "he says no caption is needed", "source of the river", "", "image of a test", "Track and field", "www", "see https://example.org for more"},
		"url":         {"https://example.org/a.jpg", "www.example.org"},
		"file_name":   {"dog.JPG", "IMG_1234.jpg", "IMG_1234", "DSC00042", "DSCN1234", "P1010023", "20190704_153012", "Screenshot 2020-01-01 at 10.00.00", "Image (12)", "WhatsApp Image 2019-07-04 at 15.30.12", "recording 7", "1984"},
		"placeholder": {"N/A", "n/a.", "Untitled", "no caption", "No description available", "image", "[image]", "Click here", "Lorem ipsum dolor sit amet", "null", "enlarge", "Image not found"},
		"credit":      {"Photo by Jane Doe", "© 2020 Somebody", "Getty Images", "image courtesy of NASA", "Copyright 2001 X."},
	} {
		for _, text := range texts {
			if got := MeasureText(text).Word("text_boilerplate"); got != kind {
				t.Errorf("%q is %q, want %q", text, got, kind)
			}
		}
	}
}

func TestTextUnits(t *testing.T) {
	five, twenty := 5.0, 20.0
	m := MeasureText("a black dog runs") // 16 characters, 4 words
	m["text_tokens"] = int64(6)
	for unit, want := range map[string]string{
		"characters": "", "words": "the caption has 4 words, fewer than 5",
		"tokens": "the caption has 4 tokens, fewer than 5", "code_points": "",
	} {
		rules := Rules(configs.Filters{
			SNR: configs.SNRRule{Rule: configs.Rule{Off: true}}, MaxSync: configs.Rule{Off: true},
			MinText: configs.TextRule{Rule: configs.Rule{Min: &five, Max: &twenty}, Unit: unit},
		})
		rules = slices.DeleteFunc(rules, func(r Rule) bool { return r.Name != "min_text" })
		if len(rules) != 1 || rules[0].Metric != TextMetric(unit) {
			t.Fatalf("%s: rules %v", unit, rules)
		}
		verdicts := Judge(rules, m)
		got := ""
		if len(verdicts) > 0 {
			got = verdicts[0].Detail
		}
		if got != want {
			t.Errorf("%s: %q, want %q", unit, got, want)
		}
		if len(Judge(rules, sample.Metrics{})) != 0 {
			t.Errorf("%s: a sample without a caption is judged", unit)
		}
	}
}

func FuzzMeasureText(f *testing.F) {
	for _, s := range []string{"", "a dog", "\xff\u200b", "👩‍👩‍👧‍👦", "IMG_1234", strings.Repeat("é", 90)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m := MeasureText(s)
		chars, _ := m.Number("text_chars")
		words, _ := m.Number("text_words")
		points, _ := m.Number("text_code_points")
		if chars < 0 || words < 0 || chars > points || words > points {
			t.Fatalf("%q: %v", s, m)
		}
		if again := MeasureText(" \u200b" + s + "\u00a0\n"); again["text_chars"] != m["text_chars"] {
			t.Fatalf("%q: %v, with space around it %v", s, m, again)
		}
	})
}
