package source

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"prep/internal/fault"
)

// readJSONL reads one JSON object a line; empty lines are passed over.
func (m *manifestReader) readJSONL(r io.Reader, each func(*entry) error) error {
	b, err := pastMark(m.name, r)
	if err != nil {
		return err
	}
	sc := bufio.NewScanner(b)
	sc.Buffer(make([]byte, 1<<16), maxField)
	var decoded tally
	named := false
	line := 1
	for ; sc.Scan(); line++ {
		text := bytes.TrimSpace(sc.Bytes())
		if len(text) == 0 {
			continue
		}
		e := entry{line: line}
		if !utf8.Valid(text) {
			s, err := decodeField(text)
			if err != nil {
				return fault.Inputf("%s: %w", m.at(&e), err)
			}
			text = []byte(s)
			decoded.add(fmt.Sprintf("line %d", line))
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(text, &object); err != nil {
			if text[0] == '[' {
				return fault.Inputf("%s: want one JSON object a line, this is a list", m.at(&e))
			}
			return fault.Inputf("%s: %w; want one JSON object a line", m.at(&e), err)
		}
		columns := make([]string, 0, len(object))
		for c := range object {
			columns = append(columns, c)
		}
		slices.Sort(columns)
		for _, c := range columns {
			role, ok := roleOf(c)
			if !ok {
				m.unused[c] = true
				continue
			}
			named = named || role.names()
			if err := m.setJSON(&e, role, c, object[c]); err != nil {
				return err
			}
		}
		if err := each(&e); err != nil {
			return err
		}
	}
	if errors.Is(sc.Err(), bufio.ErrTooLong) {
		return fault.Inputf("%s:%d: a line of more than %d bytes; want one JSON object a line", m.name, line, maxField)
	}
	if err := sc.Err(); err != nil {
		return fault.Inputf("%s: %w", m.name, err)
	}
	if line > 1 && !named && len(m.samples) > 0 {
		return fault.Inputf("%s: no row has image, video, audio, text, caption or the like", m.name)
	}
	m.notes = append(m.notes, decodedNote(m.name, decoded)...)
	return nil
}

// setJSON takes a string or number, or for labels a list of them.
func (m *manifestReader) setJSON(e *entry, r role, column string, raw json.RawMessage) error {
	switch raw[0] {
	case 'n': // null
		return nil
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return fault.Inputf("%s: %s: %w", m.at(e), column, err)
		}
		m.set(e, r, column, s)
		return nil
	case '[':
		if r != roleLabels && r != roleCaption {
			return fault.Inputf("%s: %s is a list; want one value", m.at(e), column)
		}
		var list []any
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if err := d.Decode(&list); err != nil {
			return fault.Inputf("%s: %s: %w", m.at(e), column, err)
		}
		for _, x := range list {
			switch x := x.(type) {
			case string:
				switch {
				case x == "":
				case r == roleLabels:
					e.labels = append(e.labels, x)
				case e.value[r] == "":
					m.set(e, r, column, x)
				case e.column[r] == column && len(e.texts) < MaxCaptions-1 && x != e.value[r] && !slices.Contains(e.texts, x):
					e.texts = append(e.texts, x)
				}
			case json.Number:
				if r == roleCaption {
					return fault.Inputf("%s: %s holds a number; want captions", m.at(e), column)
				}
				e.labels = append(e.labels, x.String())
			default:
				return fault.Inputf("%s: %s holds something that is neither text nor number", m.at(e), column)
			}
		}
		return nil
	case '{', 't', 'f':
		return fault.Inputf("%s: %s is %.20s; want text or a number", m.at(e), column, raw)
	}
	m.set(e, r, column, string(raw)) // a number, as written
	return nil
}
