package stages

import (
	"context"
	"encoding/binary"
	"strings"

	"prep/bpe"
	"prep/filters"
	"prep/internal/media"
	"prep/internal/sample"
)

// caption is a decoded text, trimmed.
type caption struct{ text, encoding string }

func readCaption(ctx context.Context, p *Processor, s *sample.Sample, part *sample.Part) (medium, error) {
	if part.Path == "" {
		return &caption{text: strings.TrimSpace(part.Text)}, nil
	}
	data, err := p.readWhole(part)
	if err != nil {
		return nil, err
	}
	text, encoding, err := media.DecodeText(data)
	if err != nil {
		return nil, inFile(part.Path, err)
	}
	if n := p.Config.Source.TextLines; n > 0 {
		lines := strings.SplitN(text, "\n", n+1)
		text = strings.Join(lines[:min(n, len(lines))], "\n")
	}
	return &caption{strings.TrimSpace(text), encoding}, nil
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
}

func (d *caption) tensor(p *Processor) (sample.Tensor, error) {
	r := p.encode(d.text)
	b := make([]byte, 0, 4*len(r.IDs))
	for _, id := range r.IDs {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	return p.newTensor(sample.Text, b), nil
}

func (p *Processor) encode(text string) bpe.Result {
	o := bpe.Options{SpecialTokens: bpe.Inert}
	if p.Config.Text.SpecialTokens == "imagebind" {
		o.SpecialTokens = bpe.ImageBind
	}
	return bpe.Encode(text, o)
}
