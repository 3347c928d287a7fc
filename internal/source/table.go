package source

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"prep/internal/fault"
	"prep/internal/media"
)

// maxField bounds one field of a list and one line of JSON. A stray quote swallows what follows it; this
// says so instead of taking half a file for a caption.
const maxField = 1 << 20

// table reads a CSV or TSV list. Fields come as UTF-8: those that are in another encoding are decoded as
// text files are, and counted. Errors name file and line.
type table struct {
	name    string
	csv     *csv.Reader
	line    int
	decoded tally // places of fields that were no UTF-8
}

// newTable reads past a byte order mark. A space after a separator counts as none, so that `id, "a,b"`
// has two fields; lines that begin with comment are passed over, if it is not 0.
func newTable(name string, r io.Reader, comma, comment rune) (*table, error) {
	b, err := pastMark(name, r)
	if err != nil {
		return nil, err
	}
	c := csv.NewReader(b)
	c.Comma, c.Comment = comma, comment
	c.FieldsPerRecord, c.ReuseRecord = -1, true
	if comma == '\t' {
		c.LazyQuotes = true // a quote in a TSV is a character like any other
	} else {
		c.TrimLeadingSpace = true
	}
	return &table{name: name, csv: c}, nil
}

// pastMark skips a UTF-8 byte order mark and refuses what cannot be a list.
func pastMark(name string, r io.Reader) (*bufio.Reader, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	head, _ := b.Peek(1024)
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, _ = b.Discard(3)
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return nil, fault.Inputf("%s is UTF-16: save it as UTF-8", name)
	case bytes.IndexByte(head, 0) >= 0:
		return nil, fault.Inputf("%s is no text file", name)
	}
	return b, nil
}

// read returns the next row, which lives until the next call, or io.EOF.
func (t *table) read() ([]string, error) {
	row, err := t.csv.Read()
	var parse *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case errors.As(err, &parse):
		if errors.Is(parse.Err, csv.ErrQuote) && parse.StartLine != parse.Line {
			return nil, fault.Inputf("%s:%d: the quote that opens here is not closed well by line %d", t.name, parse.StartLine, parse.Line)
		}
		return nil, fault.Inputf("%s:%d: %w", t.name, parse.Line, parse.Err)
	case err != nil:
		return nil, fault.Inputf("%s: %w", t.name, err)
	}
	t.line, _ = t.csv.FieldPos(0)
	for i, v := range row {
		if len(v) > maxField {
			return nil, fault.Inputf("%s:%d: a field of %d bytes; is a quote not closed?", t.name, t.line, len(v))
		}
		if utf8.ValidString(v) {
			continue
		}
		if row[i], err = decodeField([]byte(v)); err != nil {
			return nil, fault.Inputf("%s:%d: %w", t.name, t.line, err)
		}
		t.decoded.add(fmt.Sprintf("line %d", t.line))
	}
	return row, nil
}

// notes tells of fields that were decoded.
func (t *table) notes() []string { return decodedNote(t.name, t.decoded) }

func decodedNote(name string, decoded tally) []string {
	if decoded.n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: %s not UTF-8 and read as Latin-1: %s", name, decoded.count("field is", "fields are"), decoded)}
}

// decodeField decodes what is no UTF-8.
func decodeField(b []byte) (string, error) {
	text, _, err := media.DecodeText(b)
	if err != nil {
		return "", err
	}
	return strings.ToValidUTF8(text, "\uFFFD"), nil
}

// has lists what a header has, for messages.
func has(header []string) string {
	shown := header[:min(len(header), 20)]
	text := strings.Join(shown, ", ")
	if len(text) > 300 {
		text = text[:300]
	}
	if len(shown) < len(header) || len(text) == 300 {
		text += ", …"
	}
	return "it has " + text
}

// columnsOf finds named columns in a header row; -1 for those that are not there.
func columnsOf(header []string, want ...string) []int {
	out := make([]int, len(want))
	for i, w := range want {
		out[i] = slices.IndexFunc(header, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), w) })
	}
	return out
}

// at returns field i of a row, "" beyond its end.
func at(row []string, i int) string {
	if i < 0 || i >= len(row) {
		return ""
	}
	return strings.TrimSpace(row[i])
}
