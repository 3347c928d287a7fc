package stages

import (
	"context"
	"encoding/binary"
	"strings"

	"prep/bpe"
	"prep/configs"
	"prep/filters"
	"prep/internal/media"
	"prep/internal/sample"
)

// caption is a decoded text, trimmed, and those that are as good as it.
type caption struct {
	text, encoding string
	more           []string
}

func readCaption(ctx context.Context, p *Processor, s *sample.Sample, part *sample.Part) (medium, error) {
	if part.Path == "" {
		d := &caption{text: strings.TrimSpace(part.Text)}
		for _, t := range part.Texts {
			if t = strings.TrimSpace(t); t != "" && len(d.more) < p.Config.Text.Captions-1 {
				d.more = append(d.more, t)
			}
		}
		return d, nil
	}
	data, err := p.readWhole(part)
	if err != nil {
		return nil, err
	}
	text, encoding, err := media.DecodeText(data)
	p.files.put(data) // the text is a copy
	if err != nil {
		return nil, inFile(part.Path, err)
	}
	if n := p.Config.Source.TextLines; n > 0 {
		lines := strings.SplitN(text, "\n", n+1)
		text = strings.Join(lines[:min(n, len(lines))], "\n")
	}
	return &caption{text: strings.TrimSpace(text), encoding: encoding}, nil
}

func (d *caption) measure(p *Processor, s *sample.Sample) {
	s.Caption = d.text
	for k, v := range filters.MeasureText(d.text) {
		s.Metrics[k] = v
	}
	if d.encoding != "" {
		s.Metrics["text_encoding"] = d.encoding
	}
	s.Metrics["text_tokens"] = int64(p.encode(d.text).Tokens)
	if n := p.Config.Text.Captions; n > 1 && d.text != "" {
		s.Captions = append([]string{d.text}, d.more...)
		f := textsColumn(p.Config)
		ids := make([]byte, 0, f.Bytes())
		for _, text := range s.Captions {
			ids = appendIDs(ids, p.encode(text))
		}
		s.Texts = sample.Tensor{DType: f.DType, Shape: f.Shape, Data: ids[:f.Bytes()]} // the rest is zeros
	}
}

func (d *caption) tensor(p *Processor) (sample.Tensor, error) {
	return p.newTensor(sample.Text, appendIDs(nil, p.encode(d.text))), nil
}

func appendIDs(b []byte, r bpe.Result) []byte {
	for _, id := range r.IDs {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	return b
}

// textsColumn holds the tokens of several captions of a sample, [n,77]; where it has fewer the rest is zeros.
func textsColumn(cfg configs.Config) sample.TensorField {
	return sample.TensorField{Name: sample.ColumnTexts, DType: sample.Int32, Shape: []int{cfg.Text.Captions, bpe.ContextLength}}
}

func (p *Processor) encode(text string) bpe.Result {
	o := bpe.Options{SpecialTokens: bpe.Inert}
	if p.Config.Text.SpecialTokens == "imagebind" {
		o.SpecialTokens = bpe.ImageBind
	}
	return bpe.Encode(text, o)
}

// flagsOf names what a person may want to know of a written sample, to be counted: that its caption was cut to
// the tower's 77 tokens, or is none; that the sound or the pictures of its video were left out.
func flagsOf(m sample.Metrics) (flags []string) {
	if n, _ := m.Number("text_tokens"); n > bpe.ContextLength {
		flags = append(flags, "truncated_caption")
	}
	if m.Word("text_boilerplate") != "" {
		flags = append(flags, "boilerplate_caption")
	}
	if m.Word("audio_lost") != "" {
		flags = append(flags, "lost_sound")
	}
	if m.Word("video_lost") != "" {
		flags = append(flags, "lost_pictures")
	}
	return flags
}
