package sample

// FieldKind is the type of a metric's column.
type FieldKind uint8

// The kinds of metric.
const (
	Number FieldKind = iota // float64
	Count                   // int64
	Word                    // string
)

// MetricField describes one metric: its column in shards and ledger.
type MetricField struct {
	Name string
	Kind FieldKind
	Unit string // "" when it has none
	Doc  string // one line: what it is and its source
}

// Metrics holds measured values by column name: float64, int64 or string as the field says. A name that
// is not there is null in the shard. The nil map reads as empty.
type Metrics map[string]any

// Number returns a float64 or int64 metric, and whether it is there.
func (m Metrics) Number(name string) (float64, bool) {
	switch v := m[name].(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	}
	return 0, false
}

// Word returns a string metric, "" when it is not there.
func (m Metrics) Word(name string) string {
	s, _ := m[name].(string)
	return s
}
