// Package bpe turns a caption into the 77 token ids that CLIP's and ImageBind's text towers take, equal
// to what the Python originals give for every string.
//
// The way of a caption is: repair and normalise (clean.go; ftfy itself is internal/ftfy), cut into words
// (split.go), merge each word's bytes by the ranks of CLIP's 48,894 merges (merge.go, vocabulary.go), put
// the start and end markers around, cut to 77 and fill with zeros. The package owns all of this and the
// vocabulary, which is embedded and unpacked at first use. Reading text files and telling their encoding
// is internal/media's business, judging captions filters'.
//
// References: SimpleTokenizer of imagebind/models/multimodal_preprocessors.py and of
// open_clip/tokenizer.py, both after https://github.com/openai/CLIP; Sennrich, Haddow and Birch, "Neural
// Machine Translation of Rare Words with Subword Units", 2016.
package bpe

import "strings"

// The dimensions of CLIP's text tower.
const (
	ContextLength = 77    // ids of a caption, markers and padding included
	VocabSize     = 49408 // ids are less than this
	StartID       = 49406 // marks the start; "<|startoftext|>"
	EndID         = 49407 // marks the end, and is where the text tower reads its result; "<|endoftext|>"
)

// SpecialTokens says what a marker's name means that is spelled out in a caption.
type SpecialTokens uint8

const (
	// Inert treats "<|startoftext|>" and "<|endoftext|>" as any other text: a caption cannot hold a
	// marker. open_clip does the same with these names. (It has two names of its own,
	// "<start_of_text>" and "<end_of_text>", that it does turn into markers; here they are text too.)
	Inert SpecialTokens = iota
	// ImageBind makes the markers of them, as ImageBind and CLIP do: the caption ends, for the model, at
	// its first end marker.
	ImageBind
)

// Options of Encode. The zero value is the safe choice.
type Options struct {
	SpecialTokens SpecialTokens
}

// Result is an encoded caption.
type Result struct {
	// IDs are the start marker, the caption's tokens, the end marker, and zeros. (Zero is the id of "!",
	// too: only what follows the first end marker is padding.) The end marker is there also when the
	// caption was cut.
	IDs [ContextLength]int32
	// Tokens counts what the whole caption came to, both markers included; it exceeds ContextLength
	// when the caption was cut.
	Tokens    int
	Truncated bool
}

// Encode cleans text and encodes it. It never fails: invalid UTF-8 reads as U+FFFD. It is safe for
// concurrent use.
func Encode(text string, o Options) Result {
	v := loadVocabulary()
	text = Clean(text)
	e := encoder{vocabulary: v}
	e.put(StartID)
	for i := 0; i < len(text); {
		if o.SpecialTokens == ImageBind && text[i] == '<' {
			if id, n := marker(text[i:]); n > 0 {
				if id >= 0 {
					e.put(id)
				} else {
					e.word(text[i : i+n])
				}
				i += n
				continue
			}
		}
		n, isSpace := nextWord(text[i:])
		if !isSpace {
			e.word(text[i : i+n])
		}
		i += n
	}
	e.put(EndID)
	r := Result{IDs: e.ids, Tokens: e.n}
	if e.n > ContextLength {
		r.Truncated = true
		r.IDs[ContextLength-1] = EndID
	}
	return r
}

// encoder collects the ids of one caption.
type encoder struct {
	*vocabulary
	ids [ContextLength]int32
	n   int // of ids, kept or not
}

func (e *encoder) put(id int32) {
	if e.n < ContextLength {
		e.ids[e.n] = id
	}
	e.n++
}

func (e *encoder) putAll(ids []int32) {
	if e.n < ContextLength {
		copy(e.ids[e.n:], ids)
	}
	e.n += len(ids)
}

// Len returns how many of the ids are not padding.
func (r *Result) Len() int { return min(r.Tokens, ContextLength) }

// Pieces returns the tokens of ids for a person to read, one string for each id: the token's text, with
// "</w>" behind it where a word ends, as the vocabulary itself has it, and the markers by their names.
// Bytes that are part of a character only are written as \xNN, an id out of range as "<id>". Give it
// r.IDs[:r.Len()] to leave padding out.
func Pieces(ids []int32) []string {
	v := loadVocabulary()
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = v.piece(id)
	}
	return out
}

// Decode returns the text of ids: cleaned text as Encode saw it but for white space, which is gone where
// the tokens do not tell (a space follows every word, punctuation included). Start markers are left out,
// and it ends at the first end marker. Bytes that form no character become U+FFFD.
func Decode(ids []int32) string {
	v := loadVocabulary()
	var b []byte
	for _, id := range ids {
		if id == EndID {
			break
		}
		if id < 0 || id >= StartID {
			continue
		}
		b = append(b, v.token(id)...)
		if v.endsWord[id] {
			b = append(b, ' ')
		}
	}
	s := strings.TrimSuffix(string(b), " ")
	return string([]rune(s))
}
