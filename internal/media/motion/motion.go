// Package motion decodes recordings of inertial sensors, tables of times and six channels (or three, of a recording
// whose two sensors have a file each) in CSV, Parquet or NPY under the names that people use. What their values mean and whether they are likely is filters' business;
// where a window lies in a recording, internal/inertial's.
package motion

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"prep/internal/fault"
	"prep/internal/half"
	"prep/internal/media/magic"
	"prep/internal/media/npy"
)

// maxMotionRows bounds a recording: eleven hours at 400 Hz, half a gigabyte once decoded.
const maxMotionRows = 1 << 24

// Recording is a decoded recording of an inertial sensor.
type Recording struct {
	// Time is in seconds on the file's own clock and rises strictly.
	Time []float64
	// Values are accelerometer x, y, z and gyroscope x, y, z, each as long as Time; NaN where a row lacks one.
	// Those of a sensor that was not asked for are nil.
	Values [6][]float32
	// AccelUnit and GyroUnit are what the columns' names state: m/s2, g or mg, rad/s or deg/s, or words that
	// are not known here; "" for nothing.
	AccelUnit, GyroUnit string
	// Clocked reports that the file states its times; otherwise they were counted at Options.Rate.
	Clocked bool
	// Disordered counts the rows whose time is not after that of the row before; they were sorted, and of
	// equal times the first row kept.
	Disordered int
}

// Sensor says which of the two sensors a file holds.
type Sensor int

// The sensors of a recording: both in one table, or one of them, whose axes may then be called x, y and z alone.
const (
	Both Sensor = iota
	Accelerometer
	Gyroscope
)

// channels are those of the recording's six that the file holds: [from, to).
func (s Sensor) channels() (from, to int) {
	switch s {
	case Accelerometer:
		return 0, 3
	case Gyroscope:
		return 3, 6
	}
	return 0, 6
}

// columns is how many the file has, without the time.
func (s Sensor) columns() int {
	from, to := s.channels()
	return to - from
}

// key is what names the file's columns in the configuration.
func (s Sensor) key() string {
	return [...]string{Both: "imu.columns", Accelerometer: "imu.accel_columns", Gyroscope: "imu.gyro_columns"}[s]
}

// Options say how a recording's file is read. The zero value looks for both sensors, under the names that people
// use.
type Options struct {
	// Sensor is what the file holds.
	Sensor Sensor
	// Columns names the columns: accelerometer x, y, z, gyroscope x, y, z, with that of the time before them
	// if there is one. A number is a position, counted from 0, for a file without a header. Empty: by the
	// usual names (accl_x, accel_x, acc_x, ax, linear_acceleration.x; gyro_x, gyr_x, gx, wx,
	// angular_velocity.x; canonical_timestamp_ms, timestamp, time, t, and so on). Of a file of one sensor they are
	// its three axes, and may also be called x, y, z (value_x, x_axis).
	Columns []string
	// TimeUnit is s, ms, us or ns; "auto" (also "") takes what the column's name states, else the one in which
	// the rows come at 10 to 4000 Hz.
	TimeUnit string
	// Rate counts the rows of a file without times, in Hz.
	Rate float64
}

// Decode decodes a recording: CSV (separated by commas, semicolons, tabs, bars or spaces; a # before the header,
// units in brackets and times as ISO 8601 writes them are understood), Parquet, or NPY ([n,6], [6,n], the same with
// the time as a seventh before them, or named fields; of one sensor three and four). The format is told by the content. Rows without a time are dropped.
//
// Errors: Corrupt empty_file, not_motion, corrupt_motion, missing_columns, bad_times, too_few_rows; Unsupported
// too_large, unsupported_motion; Usage for options that cannot be.
func Decode(ctx context.Context, data []byte, o Options) (*Recording, error) {
	if n, want := len(o.Columns), o.Sensor.columns(); n != 0 && n != want && n != want+1 {
		return nil, fault.Usagef("%d columns named by %s: want %d, or %d with the time first", n, o.Sensor.key(), want, want+1)
	}
	var t *numbers
	var err error
	switch {
	case len(data) == 0:
		return nil, fault.Corruptf("empty_file", "the file is empty (0 bytes)")
	case npy.Is(data):
		t, err = motionNPY(data, o.Sensor)
	case bytes.HasPrefix(data, []byte("PAR1")):
		t, err = motionParquet(ctx, data, o)
	default:
		t, err = motionCSV(data, o)
	}
	if err != nil {
		return nil, err
	}
	return t.motion(o)
}

// numbers is a table of named columns of numbers; missing ones are NaN.
type numbers struct {
	format  string
	names   []string
	columns [][]float64
	// timeUnit is the unit that the file itself states for its times, apart from their name.
	timeUnit string
}

// motionColumn is what a column's name says it is.
type motionColumn struct {
	channel int    // 0 to 5; timeChannel
	rank    int    // of several columns of one channel the lowest counts
	unit    string // as in Recording and Options, "" if not stated
}

const timeChannel = 6

// motionNames are the prefixes that people give to the axes, the more explicit first.
var motionNames = [2][]string{
	{"accl", "accel", "acc", "accelerometer", "acceleration", "linear_acceleration", "accelerometeracceleration", "imu_accel", "imu_acc", "a_rs_s", "a"},
	{"gyro", "gyr", "gyroscope", "angular_velocity", "rotation_rate", "rotationrate", "gyrorotation", "angular_rate", "angvel", "imu_gyro", "imu_gyr", "w_rs_s", "omega", "w", "g"},
}

// timeNames are names of the time, in the order of preference. Ego4D's canonical time is the video's; its
// component time starts anew with each piece of a recording and is never taken.
var timeNames = []string{"canonical_timestamp", "timestamp", "timestamps", "time_stamp", "sensor_timestamp", "time", "attr_time", "t", "ts", "seconds_elapsed", "elapsed", "secs", "seconds", "sec", "ms", "utc_timestamp", "header_stamp", "loggingtime", "epoch", "epoc", "unix_timestamp", "unix_time", "creation_time", "arrival_time", "event_timestamp", "datetime", "date_time"}

// motionUnits are the endings of names, and units in brackets with their spaces taken out.
var motionUnits = []struct{ ending, unit string }{
	{"m_s_2", "m/s2"}, {"m_s2", "m/s2"}, {"ms2", "m/s2"}, {"mps2", "m/s2"}, {"m_s^2", "m/s2"}, {"m_s^_2", "m/s2"}, {"m_s²", "m/s2"}, {"mg", "mg"}, {"g", "g"},
	{"rad_s_1", "rad/s"}, {"rad_s^_1", "rad/s"}, {"rad_s", "rad/s"}, {"rads", "rad/s"}, {"radps", "rad/s"}, {"rps", "rad/s"},
	{"deg_s_1", "deg/s"}, {"deg_s", "deg/s"}, {"degs", "deg/s"}, {"dps", "deg/s"}, {"deg", "deg/s"}, {"degps", "deg/s"}, {"°_s", "deg/s"},
}

// bareName takes off what stands around a name in a header: spaces, quotes, and the signs that make the line a
// note to other programs.
func bareName(s string) string { return strings.Trim(s, " \t\r\"'#%\ufeff") }

// plainName brings a column's name to lower case and underscores, and takes a unit in brackets off it.
func plainName(s string) (name, unit string) {
	s = strings.ToLower(bareName(s))
	if i := strings.IndexAny(s, "[("); i > 0 {
		unit = strings.Trim(s[i:], "[]() ")
		s = strings.TrimRight(s[:i], " _")
	}
	s = strings.TrimPrefix(s, "field.") // of a message, as rostopic echo writes it
	flat := strings.NewReplacer(" ", "_", ".", "_", "-", "_", "/", "_", ":", "_")
	return flat.Replace(s), flat.Replace(unit)
}

// motionColumnOf reads a column's name.
func motionColumnOf(column string) (motionColumn, bool) {
	name, unit := plainName(column)
	for i, n := range timeNames {
		rest, ok := strings.CutPrefix(name, n)
		if !ok {
			continue
		}
		c := motionColumn{channel: timeChannel, rank: i}
		switch u := strings.TrimPrefix(rest, "_"); {
		case rest == "" && timeUnits[unit] != 0:
			c.unit = unit
		case rest == "" && (n == "secs" || n == "seconds" || n == "sec" || n == "seconds_elapsed"):
			c.unit = "s"
		case rest == "" && n == "ms":
			c.unit = "ms"
		case rest == "":
		case rest != u && timeUnits[u] != 0:
			c.unit = u
		default:
			continue
		}
		return c, true
	}
	// The unit may be the name's ending: acc_x_g.
	for _, u := range motionUnits {
		if unit == u.ending {
			unit = u.unit
			break
		}
		if rest, ok := strings.CutSuffix(name, "_"+u.ending); ok && unit == "" && len(rest) > 1 {
			name, unit = rest, u.unit
			break
		}
	}
	if name == "" {
		return motionColumn{}, false
	}
	axis := strings.IndexByte("xyz", name[len(name)-1])
	if axis < 0 {
		return motionColumn{}, false
	}
	prefix := strings.TrimSuffix(name[:len(name)-1], "_")
	for s, names := range motionNames {
		if i := slices.Index(names, prefix); i >= 0 {
			return motionColumn{channel: 3*s + axis, rank: i, unit: unit}, true
		}
	}
	return motionColumn{}, false
}

// bareAxes are what stands around an axis that names no sensor, in a file of one: x, value_x, x_axis.
var bareAxes = []string{"", "value", "axis", "attr", "data", "calibrated"}

// bareAxisOf reads the name of an axis that names no sensor.
func bareAxisOf(column string) (axis int, unit string, ok bool) {
	name, unit := plainName(column)
	for _, u := range motionUnits {
		if unit == u.ending {
			unit = u.unit
			break
		}
	}
	for axis, letter := range []string{"x", "y", "z"} {
		rest, ok := strings.CutPrefix(name, letter)
		if !ok {
			rest, ok = strings.CutSuffix(name, letter)
		}
		if ok && slices.Contains(bareAxes, strings.Trim(rest, "_")) {
			return axis, unit, true
		}
	}
	return 0, "", false
}

// timeUnits are units of time and their seconds.
var timeUnits = map[string]float64{
	"s": 1, "sec": 1, "secs": 1, "seconds": 1, "ms": 1e-3, "msec": 1e-3, "milliseconds": 1e-3,
	"us": 1e-6, "usec": 1e-6, "microseconds": 1e-6, "ns": 1e-9, "nsec": 1e-9, "nanoseconds": 1e-9,
}

// choose finds the columns of a header: the place of each channel and, at timeChannel, of the time (-1: none).
func (o *Options) choose(format string, names []string) (places [7]int, units [7]string, err error) {
	for i := range places {
		places[i] = -1
	}
	from, to := o.Sensor.channels()
	if len(o.Columns) > 0 {
		wanted := o.Columns
		order := append([]int{timeChannel}, []int{0, 1, 2, 3, 4, 5}[from:to]...)[1+to-from-len(wanted):]
		for i, w := range wanted {
			at := slices.IndexFunc(names, func(n string) bool { return bareName(n) == w })
			if at < 0 {
				if n, err := strconv.Atoi(w); err == nil && n >= 0 && n < len(names) {
					at = n
				}
			}
			if at < 0 {
				return places, units, fault.Corruptf("missing_columns", "%s: no column %q (%s) among %s", format, w, o.Sensor.key(), shownNames(names))
			}
			places[order[i]] = at
			if c, ok := motionColumnOf(names[at]); ok && c.channel == order[i] {
				units[order[i]] = c.unit
			} else if _, unit, ok := bareAxisOf(names[at]); ok && o.Sensor != Both && order[i] != timeChannel {
				units[order[i]] = unit
			}
		}
		return places, units, nil
	}
	var ranks [7]int
	for i, n := range names {
		if bareName(n) == "" {
			continue
		}
		c, ok := motionColumnOf(n)
		if !ok && o.Sensor != Both {
			var axis int
			if axis, c.unit, ok = bareAxisOf(n); ok {
				c.channel, c.rank = from+axis, 1000
			}
		}
		if ok && (places[c.channel] < 0 || c.rank < ranks[c.channel]) {
			places[c.channel], ranks[c.channel], units[c.channel] = i, c.rank, c.unit
		}
	}
	var missing []string
	for c, name := range []string{"accelerometer x", "accelerometer y", "accelerometer z", "gyroscope x", "gyroscope y", "gyroscope z"} {
		if c >= from && c < to && places[c] < 0 {
			missing = append(missing, name)
		}
		if c < from || c >= to {
			places[c] = -1
		}
	}
	switch {
	case len(missing) == 0:
		// To count the rows of a file that states its times would be to guess.
		for _, n := range names {
			if name, _ := plainName(n); places[timeChannel] < 0 && (strings.Contains(name, "time") || strings.Contains(name, "stamp")) {
				return places, units, fault.Corruptf("missing_columns", "%s: no column of times is known among %s, and %q looks like one; name the columns by %s, the time first", format, shownNames(names), plainShown(n), o.Sensor.key())
			}
		}
		return places, units, nil
	case o.Sensor == Both && len(missing) == 3 || len(missing) == 6: // a file for each sensor?
		err = fault.Corruptf("missing_columns", "%s: no column of %s among %s; name them by imu.columns; if the sensors have a file each, call them alike (walk_accel.csv, walk_gyro.csv; docs/modalities.md)", format, strings.Join(missing, ", "), shownNames(names))
	default:
		err = fault.Corruptf("missing_columns", "%s: no column of %s among %s; name them by %s", format, strings.Join(missing, ", "), shownNames(names), o.Sensor.key())
	}
	return places, units, err
}

func shownNames(names []string) string {
	s := strings.Join(names[:min(len(names), 20)], ", ")
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}

// motion picks the columns, gives the times their unit and puts the rows in order.
func (t *numbers) motion(o Options) (*Recording, error) {
	places, units, err := o.choose(t.format, t.names)
	if err != nil {
		return nil, err
	}
	m := &Recording{AccelUnit: units[0], GyroUnit: units[3], Clocked: places[timeChannel] >= 0}
	from, to := o.Sensor.channels()
	rows := len(t.columns[places[from]])
	if m.Clocked {
		m.Time = t.columns[places[timeChannel]]
	} else {
		if !(o.Rate > 0) {
			return nil, fault.Usagef("the rate of a recording without times must be positive (imu.rate)")
		}
		m.Time = make([]float64, rows)
		for i := range m.Time {
			m.Time[i] = float64(i) / o.Rate
		}
	}
	for c := from; c < to; c++ {
		m.Values[c] = make([]float32, rows)
		for i, v := range t.columns[places[c]] {
			m.Values[c][i] = float32(v)
		}
	}
	m.order()
	if m.Clocked && len(m.Time) >= 2 {
		stated := units[timeChannel]
		if t.timeUnit != "" {
			stated = t.timeUnit
		}
		if err := m.scale(t.format, o.TimeUnit, stated); err != nil {
			return nil, err
		}
		m.order() // times that differ in their own unit may round to one in seconds
	}
	if len(m.Time) < 2 {
		return nil, fault.Corruptf("too_few_rows", "%s: %d of %d rows have a time of their own; a recording needs two", t.format, len(m.Time), rows)
	}
	return m, nil
}

// order drops rows without a time and sorts the others; of equal times the first row stays.
func (m *Recording) order() {
	rows := make([]int, 0, len(m.Time))
	last := math.Inf(-1)
	inOrder := true
	for i, t := range m.Time {
		if math.IsNaN(t) || math.IsInf(t, 0) {
			continue
		}
		if t <= last {
			m.Disordered++
			inOrder = false
		}
		last = t
		rows = append(rows, i)
	}
	if inOrder && len(rows) == len(m.Time) {
		return
	}
	slices.SortStableFunc(rows, func(a, b int) int {
		switch {
		case m.Time[a] < m.Time[b]:
			return -1
		case m.Time[a] > m.Time[b]:
			return 1
		}
		return 0
	})
	rows = slices.CompactFunc(rows, func(a, b int) bool { return m.Time[a] == m.Time[b] })
	time := make([]float64, len(rows))
	for i, r := range rows {
		time[i] = m.Time[r]
	}
	for c := range m.Values {
		if m.Values[c] == nil {
			continue
		}
		v := make([]float32, len(rows))
		for i, r := range rows {
			v[i] = m.Values[c][r]
		}
		m.Values[c] = v
	}
	m.Time = time
}

// scale turns the times into seconds.
func (m *Recording) scale(format, unit, stated string) error {
	switch {
	case stated == "date":
		return nil // seconds already
	case unit == "" || unit == "auto":
		unit = stated
	}
	factor := timeUnits[unit]
	if factor == 0 {
		step := medianStep(m.Time)
		for _, u := range []string{"s", "ms", "us", "ns"} {
			if hz := 1 / (step * timeUnits[u]); hz >= 10 && hz < 4000 {
				factor = timeUnits[u]
			}
		}
		if factor == 0 {
			return fault.Corruptf("bad_times", "%s: the rows come every %g of an unknown unit of time, which is a likely rate in none; say which by imu.time_unit", format, step)
		}
	}
	if factor != 1 {
		for i := range m.Time {
			m.Time[i] *= factor
		}
	}
	return nil
}

// medianStep is the median interval between rows.
func medianStep(t []float64) float64 {
	steps := make([]float64, 0, min(len(t)-1, 10001))
	stride := max(1, (len(t)-1)/10000)
	for i := 1; i < len(t); i += stride {
		steps = append(steps, t[i]-t[i-1])
	}
	slices.Sort(steps)
	return steps[len(steps)/2]
}

// motionCSV reads a text table. Only the columns that are wanted are kept.
func motionCSV(data []byte, o Options) (*numbers, error) {
	const format = "CSV"
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	head := data[:min(len(data), 4096)]
	switch {
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return nil, fault.Corruptf("not_motion", "CSV: the file is UTF-16; save it as UTF-8")
	case bytes.IndexByte(head, 0) >= 0:
		return nil, fault.Corruptf("not_motion", "no recording of a kind that is known here (it begins with %s); CSV, NPY and Parquet are read", magic.Quote(data))
	}
	if bytes.IndexByte(head, '\n') < 0 && bytes.IndexByte(head, '\r') >= 0 { // lines of the old Macintosh
		data = bytes.ReplaceAll(data, []byte{'\r'}, []byte{'\n'})
	}
	line, rest := nextLine(data)
	first := 2
	for len(rest) > 0 && (len(bytes.TrimSpace(line)) == 0 || line[0] == '#' && len(splitLine(line, separatorOf(line))) < o.Sensor.columns()) {
		line, rest = nextLine(rest) // notes before the header
		first++
	}
	comma := separatorOf(line)
	names := splitLine(bytes.TrimRight(line, "\r"), comma)
	if len(names) > 0 && (names[0] == "#" || names[0] == "%") && comma == ' ' { // before the header, with a space
		names = names[1:]
	}
	if least := o.Sensor.columns(); len(names) < least || len(names) > 4096 {
		return nil, fault.Corruptf("not_motion", "CSV: the first line has %d columns, and a recording has %d or more", len(names), least)
	}
	if numeric(names) { // no header: columns are told by their place
		if len(o.Columns) == 0 {
			return nil, fault.Corruptf("missing_columns", "CSV: there is no header line; say by %s which column is which, by their places (0, 1, …)", o.Sensor.key())
		}
		for i := range names {
			names[i] = strconv.Itoa(i)
		}
		rest, first = data, 1 // notes are passed over below
	}
	places, _, err := o.choose(format, names)
	if err != nil {
		return nil, err
	}
	t := &numbers{format: format, names: names, columns: make([][]float64, len(names))}
	wanted := make([]bool, len(names))
	for _, p := range places {
		if p >= 0 {
			wanted[p] = true
		}
	}
	rows := bytes.Count(rest, []byte{'\n'}) + 1
	if rows > maxMotionRows {
		return nil, fault.Unsupportedf("too_large", "CSV: %d rows, more than %d; cut the recording", rows, maxMotionRows)
	}
	for i := range wanted {
		if wanted[i] {
			t.columns[i] = make([]float64, 0, min(rows, len(rest)/12+1)) // a row of seven numbers has more
		}
	}
	var fields [][]byte
	var point byte // that numbers are written with; 0 not known yet
	for number := first; len(rest) > 0; number++ {
		line, rest = nextLine(rest)
		if comma != '\t' {
			line = bytes.TrimSpace(line)
		} else {
			line = bytes.TrimRight(line, " \r") // a tab at an end is an empty field
		}
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		fields = cutLine(fields[:0], line, comma)
		if len(rest) == 0 && data[len(data)-1] != '\n' && len(fields) < len(names) {
			break // a last line cut off in the middle: the recorder was switched off
		}
		for i := len(names); i < len(fields); i++ {
			if len(bytes.TrimSpace(fields[i])) > 0 {
				return nil, fault.Corruptf("corrupt_motion", "CSV:%d: %d fields under %d names: does the header lack a name, or are there commas within the numbers?", number, len(fields), len(names))
			}
		}
		for i := range names {
			if !wanted[i] {
				continue
			}
			var field []byte
			if i < len(fields) {
				field = fields[i]
			}
			v, ok := parseNumber(field)
			switch at := bytes.IndexByte(field, ','); {
			case ok && point == 0 && bytes.IndexByte(field, '.') >= 0:
				point = '.'
			case !ok && at >= 0 && point != '.' && comma != ',' && bytes.IndexByte(field, '.') < 0: // 0,25
				if v, ok = parseNumber(bytes.Replace(field, []byte{','}, []byte{'.'}, 1)); ok {
					point = ','
				}
			case ok && point == ',' && bytes.IndexByte(field, '.') >= 0:
				ok = false
			}
			if !ok && i == places[timeChannel] && (t.timeUnit != "" || len(t.columns[i]) == 0) {
				if v, ok = parseDate(field); ok {
					t.timeUnit = "date"
				}
			} else if ok && i == places[timeChannel] && t.timeUnit != "" && !math.IsNaN(v) {
				ok = false // a number among dates
			}
			if !ok {
				hint := ""
				if point != 0 && bytes.ContainsAny(field, ",.") {
					hint = fmt.Sprintf(" (those before it have a %q)", point)
				}
				return nil, fault.Corruptf("corrupt_motion", "CSV:%d: %s %q is no number%s", number, plainShown(names[i]), clip(bytes.TrimSpace(field), 40), hint)
			}
			t.columns[i] = append(t.columns[i], v)
		}
	}
	return t, nil
}

// separatorOf is what separates the fields of a header: of semicolon, tab, bar and comma the one that it has most
// of; a space where it has none of them.
func separatorOf(line []byte) byte {
	comma, most := byte(','), bytes.Count(line, []byte{','})
	for _, c := range []byte{';', '\t', '|'} {
		if n := bytes.Count(line, []byte{c}); n > most {
			comma, most = c, n
		}
	}
	if most == 0 && bytes.IndexByte(line, ' ') >= 0 {
		return ' '
	}
	return comma
}

func splitLine(line []byte, comma byte) []string {
	var out []string
	for _, f := range cutLine(nil, line, comma) {
		out = append(out, string(f))
	}
	return out
}

// cutLine appends a line's fields; several spaces separate like one.
func cutLine(fields [][]byte, line []byte, comma byte) [][]byte {
	if comma == ' ' {
		for f := range bytes.FieldsSeq(line) {
			fields = append(fields, f)
		}
		return fields
	}
	for {
		at := bytes.IndexByte(line, comma)
		if at < 0 {
			return append(fields, line)
		}
		fields, line = append(fields, line[:at]), line[at+1:]
	}
}

// dates are the ways in which ISO 8601 and its relatives write a moment; fractions of a second go with each. What
// states no zone is UTC: only differences count, and where recordings meet listings by the clock.
var dates = []string{
	"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02T15:04:05 Z07:00", "2006-01-02T15:04:05 Z0700",
}

// parseDate reads a moment as seconds since 1970.
func parseDate(b []byte) (float64, bool) {
	b = bytes.Trim(b, " \t\r\"")
	if len(b) < 19 || len(b) > 64 {
		return 0, false
	}
	s := []byte(string(b))
	if s[4] == '/' && s[7] == '/' {
		s[4], s[7] = '-', '-'
	}
	if s[10] == ' ' {
		s[10] = 'T'
	}
	for _, layout := range dates {
		if t, err := time.Parse(layout, string(s)); err == nil {
			return float64(t.Unix()) + float64(float64(t.Nanosecond())*1e-9), true
		}
	}
	return 0, false
}

func nextLine(b []byte) (line, rest []byte) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// parseNumber reads a number; what is empty or a word for no value is NaN.
func parseNumber(b []byte) (float64, bool) {
	b = bytes.Trim(b, " \t\r\"")
	if len(b) == 0 {
		return math.NaN(), true
	}
	if len(b) > 64 {
		return 0, false
	}
	if c := b[len(b)-1]; (c < '0' || c > '9') && missing[strings.ToLower(string(b))] {
		return math.NaN(), true
	}
	v, err := strconv.ParseFloat(string(b), 64)
	return v, err == nil
}

// missing are words for no value, in small letters: those that pandas takes for it.
var missing = map[string]bool{
	"nan": true, "-nan": true, "null": true, "none": true, "na": true, "n/a": true, "#n/a": true, "#na": true, "<na>": true, "#n/a n/a": true,
	"1.#ind": true, "-1.#ind": true, "1.#qnan": true, "-1.#qnan": true,
}

// numeric reports that no field of a line is a name.
func numeric(fields []string) bool {
	for _, f := range fields {
		if _, ok := parseNumber([]byte(f)); !ok {
			return false
		}
	}
	return true
}

func plainShown(name string) string { return strings.ToValidUTF8(strings.Trim(name, " \t\r\"#"), "?") }

func clip(b []byte, n int) string { return strings.ToValidUTF8(string(b[:min(len(b), n)]), "?") }

// motionNPY takes an array with an axis of six (of one sensor three), or of one more with the time first, or named
// fields.
func motionNPY(data []byte, s Sensor) (*numbers, error) {
	const format = "NPY"
	a, err := npy.Read(data)
	if err != nil {
		return nil, ofMotion(err)
	}
	t := &numbers{format: format}
	if a.Items > maxMotionRows*7 {
		return nil, fault.Unsupportedf("too_large", "NPY: %d numbers, more than a recording of %d rows has; cut it", a.Items, maxMotionRows)
	}
	if !a.Plain() {
		if len(a.Shape) != 1 || a.Items > maxMotionRows {
			return nil, fault.Unsupportedf("unsupported_motion", "NPY: named fields in an array of shape %v; want one row after the other", a.Shape)
		}
		for i := range a.Fields {
			f := &a.Fields[i]
			if f.Kind == 0 || f.Name == "" { // of another type, or filling
				continue
			}
			for k := range f.Count {
				name := f.Name
				if f.Count == 3 { // ('accel', '<f4', (3,))
					name += "_" + string("xyz"[k])
				} else if f.Count > 1 {
					continue
				}
				column := make([]float64, a.Items)
				for r := range column {
					column[r] = a.Number(int64(r), f, k)
				}
				t.names, t.columns = append(t.names, name), append(t.columns, column)
			}
		}
		return t, nil
	}
	from, to := s.channels()
	usual := strings.Fields("a_x a_y a_z w_x w_y w_z")[from:to]
	want := int64(len(usual))
	along := -1 // the axis of the channels
	if len(a.Shape) == 2 {
		for axis := range 2 {
			if n := a.Shape[axis]; n == want || n == want+1 {
				if along >= 0 {
					return nil, fault.Unsupportedf("unsupported_motion", "NPY: of the shape %v, which axis are the channels?", a.Shape)
				}
				along = axis
			}
		}
	}
	if along < 0 {
		return nil, fault.Unsupportedf("unsupported_motion", "NPY: the shape is %v, and [n,%d], [%[2]d,n] or one more with the time first is wanted", a.Shape, want)
	}
	channels, rows := a.Shape[along], a.Shape[1-along]
	if channels == want+1 {
		t.names = append(t.names, "t")
	}
	t.names = append(t.names, usual...)
	inner := a.Shape[1]
	if a.Fortran {
		inner = a.Shape[0]
	}
	for c := range channels {
		column := make([]float64, rows)
		for r := range rows {
			i, j := r, c
			if along == 0 {
				i, j = c, r
			}
			if a.Fortran {
				i, j = j, i
			}
			column[r] = a.Number(i*inner+j, &a.Fields[0], 0)
		}
		t.columns = append(t.columns, column)
	}
	return t, nil
}

// ofMotion puts an array's error under the reasons of recordings.
func ofMotion(err error) error {
	switch fault.ReasonOf(err) {
	case "corrupt_grid":
		return fault.Corruptf("corrupt_motion", "%w", err)
	case "unsupported_grid":
		return fault.Unsupportedf("unsupported_motion", "%w", err)
	}
	return err
}

// motionParquet reads the columns that are wanted; others are not even decoded. It goes to the columns
// themselves: what a writer of Arrow leaves in the metadata is not looked at (reading it allocates what it
// says).
func motionParquet(ctx context.Context, data []byte, o Options) (t *numbers, err error) {
	const format = "Parquet"
	broken := func(err any) error {
		return fault.Corruptf("corrupt_motion", "Parquet: no file that can be read: %v", err)
	}
	defer func() {
		if r := recover(); r != nil { // the library panics on some damaged files
			t, err = nil, broken(r)
		}
	}()
	properties := parquet.NewReaderProperties(memory.DefaultAllocator)
	properties.MaxUncompressedPageSize = maxParquetPage
	pf, err := file.NewParquetReader(bytes.NewReader(data), file.WithReadProps(properties))
	if err != nil {
		return nil, broken(err)
	}
	defer pf.Close()
	total := pf.NumRows()
	if total > maxMotionRows {
		return nil, fault.Unsupportedf("too_large", "Parquet: %d rows, more than %d; cut the recording", total, maxMotionRows)
	}
	columns := pf.MetaData().Schema
	t = &numbers{format: format, names: make([]string, columns.NumColumns()), columns: make([][]float64, columns.NumColumns())}
	for i := range t.names {
		t.names[i] = columns.Column(i).Path()
	}
	places, _, err := o.choose(format, t.names)
	if err != nil {
		return nil, err
	}
	for _, p := range places {
		if p < 0 || t.columns[p] != nil {
			continue
		}
		c := columns.Column(p)
		if c.MaxRepetitionLevel() > 0 {
			return nil, fault.Unsupportedf("unsupported_motion", "Parquet: column %s holds lists; want one number a row", t.names[p])
		}
		kind, err := numberKindOf(c)
		if err != nil {
			return nil, fault.Unsupportedf("unsupported_motion", "Parquet: column %s %w", t.names[p], err)
		}
		if p == places[timeChannel] {
			t.timeUnit = kind.time
		}
		t.columns[p] = []float64{}
		for g := range pf.NumRowGroups() {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			r, err := pf.RowGroup(g).Column(p)
			if err != nil {
				return nil, broken(err)
			}
			if t.columns[p], err = appendColumn(t.columns[p], r, kind, c.MaxDefinitionLevel(), total); err != nil {
				return nil, fault.Corruptf("corrupt_motion", "Parquet: column %s: %w", t.names[p], err)
			}
		}
		if int64(len(t.columns[p])) != total {
			return nil, fault.Corruptf("corrupt_motion", "Parquet: column %s has %d of %d rows", t.names[p], len(t.columns[p]), total)
		}
	}
	return t, nil
}

// maxParquetPage bounds one page of a column as it unpacks; writers make them of about a megabyte.
const maxParquetPage = 64 << 20

// numberKind is what the schema says of a column's numbers beyond their bytes.
type numberKind struct {
	unsigned bool
	divide   float64 // a decimal's power of ten; 1
	time     string  // unit of a time stamp, "" for other numbers
}

// numberKindOf refuses what are no numbers.
func numberKindOf(c *schema.Column) (numberKind, error) {
	k := numberKind{divide: 1}
	unit := func(u schema.TimeUnitType) string {
		return map[schema.TimeUnitType]string{schema.TimeUnitMillis: "ms", schema.TimeUnitMicros: "us", schema.TimeUnitNanos: "ns"}[u]
	}
	logical := c.LogicalType()
	switch l := logical.(type) {
	case schema.IntLogicalType:
		k.unsigned = !l.IsSigned()
	case schema.DecimalLogicalType:
		k.divide = math.Pow10(int(l.Scale()))
	case schema.TimestampLogicalType:
		k.time = unit(l.TimeUnit())
	case schema.TimeLogicalType:
		k.time = unit(l.TimeUnit())
	}
	switch c.PhysicalType() {
	case parquet.Types.Float, parquet.Types.Double, parquet.Types.Int32, parquet.Types.Int64:
		return k, nil
	case parquet.Types.Int96:
		k.time = "ns"
		return k, nil
	case parquet.Types.FixedLenByteArray:
		if _, ok := logical.(schema.Float16LogicalType); ok && c.TypeLength() == 2 {
			return k, nil
		}
	}
	name := strings.ToLower(c.PhysicalType().String())
	if logical != nil && !logical.IsNone() {
		name = strings.ToLower(logical.String())
	}
	return k, fmt.Errorf("holds values of type %s; write it as float or double", name)
}

// appendColumn reads a column chunk; null is NaN, a time stamp the count of its own unit. No more than most
// rows come in all.
func appendColumn(out []float64, r file.ColumnChunkReader, kind numberKind, deepest int16, most int64) ([]float64, error) {
	const batch = 1 << 12
	levels := make([]int16, batch)
	spread := func(n int64, value func(i int) float64) {
		next := 0
		for i := range int(n) {
			if deepest == 0 || levels[i] == deepest {
				out = append(out, value(next))
				next++
			} else {
				out = append(out, math.NaN())
			}
		}
	}
	f32, f64, i32, i64 := make([]float32, batch), make([]float64, batch), make([]int32, batch), make([]int64, batch)
	i96, bin := make([]parquet.Int96, batch), make([]parquet.FixedLenByteArray, batch)
	for r.HasNext() && int64(len(out)) <= most {
		var n int64
		var err error
		switch c := r.(type) {
		case *file.Float32ColumnChunkReader:
			n, _, err = c.ReadBatch(batch, f32, levels, nil)
			spread(n, func(i int) float64 { return float64(f32[i]) })
		case *file.Float64ColumnChunkReader:
			n, _, err = c.ReadBatch(batch, f64, levels, nil)
			spread(n, func(i int) float64 { return f64[i] })
		case *file.Int32ColumnChunkReader:
			n, _, err = c.ReadBatch(batch, i32, levels, nil)
			spread(n, func(i int) float64 {
				if kind.unsigned {
					return float64(uint32(i32[i])) / kind.divide
				}
				return float64(i32[i]) / kind.divide
			})
		case *file.Int64ColumnChunkReader:
			n, _, err = c.ReadBatch(batch, i64, levels, nil)
			spread(n, func(i int) float64 {
				if kind.unsigned {
					return float64(uint64(i64[i])) / kind.divide
				}
				return float64(i64[i]) / kind.divide
			})
		case *file.Int96ColumnChunkReader:
			n, _, err = c.ReadBatch(batch, i96, levels, nil)
			spread(n, func(i int) float64 {
				day := int64(binary.LittleEndian.Uint32(i96[i][8:])) - 2440588 // the Julian day of 1970
				return float64(day*86400e9 + int64(binary.LittleEndian.Uint64(i96[i][:])))
			})
		case *file.FixedLenByteArrayColumnChunkReader: // half, by numberKindOf
			n, _, err = c.ReadBatch(batch, bin, levels, nil)
			spread(n, func(i int) float64 { return float64(half.ToFloat32(binary.LittleEndian.Uint16(bin[i]))) })
		default:
			return nil, fmt.Errorf("values of type %s are no numbers", r.Type())
		}
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
	}
	return out, r.Err()
}
