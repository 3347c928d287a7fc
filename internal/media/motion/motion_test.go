package motion_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prep/internal/fault"
	"prep/internal/media/motion"
)

func readMotion(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// motionRow is row i of every recording of the tests: as testdata/motion/make.py.
func motionRow(i int) (t float64, v [6]float64) {
	for c := range v {
		v[c] = 0.25*float64(i) + float64(c)
	}
	return 0.005*float64(i) + 1, v
}

// splice overwrites the bytes from at on.
func splice(data []byte, at int, b string) []byte {
	out := bytes.Clone(data)
	copy(out[at:], b)
	return out
}

// npyHead is an NPY file without its numbers.
func npyHead(header string) []byte {
	b := binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(header)))
	return append(b, header...)
}

// motionTable writes 40 rows under a header; the verbs of row are the time and the six values.
func motionTable(header, row string, scale float64) string {
	var b strings.Builder
	b.WriteString(header)
	for i := range 40 {
		t, v := motionRow(i)
		fmt.Fprintf(&b, row, t*scale, v[0], v[1], v[2], v[3], v[4], v[5])
	}
	return b.String()
}

// Every way in which a recording is kept.
func TestDecodeMotion(t *testing.T) {
	const seven = "%g,%g,%g,%g,%g,%g,%g\n"
	for _, c := range []struct {
		name        string
		data        string
		options     motion.Options
		accel, gyro string // units
		clocked     bool
	}{
		{"Ego4D", motionTable("component_idx,component_timestamp_ms,canonical_timestamp_ms,gyro_x,gyro_y,gyro_z,accl_x,accl_y,accl_z\n", "0,77,%[1]g,%[5]g,%[6]g,%[7]g,%[2]g,%[3]g,%[4]g\n", 1000), motion.Options{}, "", "", true},
		{"EuRoC", motionTable("#timestamp [ns],w_RS_S_x [rad s^-1],w_RS_S_y [rad s^-1],w_RS_S_z [rad s^-1],a_RS_S_x [m s^-2],a_RS_S_y [m s^-2],a_RS_S_z [m s^-2]\n", "%[1]g,%[5]g,%[6]g,%[7]g,%[2]g,%[3]g,%[4]g\r\n", 1e9), motion.Options{}, "m/s2", "rad/s", true},
		{"short names", motionTable("t,ax,ay,az,gx,gy,gz\n", seven, 1), motion.Options{}, "", "", true},
		{"ROS", motionTable("time;linear_acceleration.x;linear_acceleration.y;linear_acceleration.z;angular_velocity.x;angular_velocity.y;angular_velocity.z\n", strings.ReplaceAll(seven, ",", ";"), 1e6), motion.Options{}, "", "", true},
		{"units in the names", motionTable("time_ms\tacc_x_g\tacc_y_g\tacc_z_g\tgyr_x_dps\tgyr_y_dps\tgyr_z_dps\n", strings.ReplaceAll(seven, ",", "\t"), 1e3), motion.Options{}, "g", "deg/s", true},
		{"units in brackets", motionTable("Timestamp (us),Accelerometer X (m/s²),Accelerometer Y (m/s²),Accelerometer Z (m/s²),Gyroscope X (°/s),Gyroscope Y (°/s),Gyroscope Z (°/s)\n", seven, 1e6), motion.Options{}, "m/s2", "deg/s", true},
		{"notes, quotes, spaces and a byte order mark", motionTable("\ufeff# phone on the head\n# 200 Hz\n\n\"time\", \"ax\", \"ay\", \"az\", \"gx\", \"gy\", \"gz\"\n", "\"%g\", %g, %g, %g, %g, %g, %g\n", 1), motion.Options{}, "", "", true},
		{"own names", motionTable("a,b,c,d,e,f,clock\n", "%[2]g,%[3]g,%[4]g,%[5]g,%[6]g,%[7]g,%[1]g\n", 1), motion.Options{Columns: []string{"clock", "a", "b", "c", "d", "e", "f"}}, "", "", true},
		{"bars", motionTable("t|ax|ay|az|gx|gy|gz\n", strings.ReplaceAll(seven, ",", "|"), 1), motion.Options{}, "", "", true},
		{"spaces after a note's sign", motionTable("# timestamp ax ay az gx gy gz\n", "%g  %g %g %g %g %g %g\n", 1), motion.Options{}, "", "", true},
		{"lines of the old Macintosh", strings.ReplaceAll(motionTable("t,ax,ay,az,gx,gy,gz\n", seven, 1), "\n", "\r"), motion.Options{}, "", "", true},
		{"a comma at each end", motionTable("t,ax,ay,az,gx,gy,gz\n", "%g,%g,%g,%g,%g,%g,%g,\n", 1), motion.Options{}, "", "", true},
		{"an empty field before tabs", motionTable("note\tt\tax\tay\taz\tgx\tgy\tgz\n", "\t%g\t%g\t%g\t%g\t%g\t%g\t%g\n", 1), motion.Options{}, "", "", true},
		{"a message of ROS", motionTable("%time,field.header.seq,field.header.stamp,field.angular_velocity.x,field.angular_velocity.y,field.angular_velocity.z,field.linear_acceleration.x,field.linear_acceleration.y,field.linear_acceleration.z\n", "%[1]g,7,0,%[5]g,%[6]g,%[7]g,%[2]g,%[3]g,%[4]g\n", 1e9), motion.Options{}, "", "", true},
		{"SensorLog", motionTable("loggingTime(txt),accelerometerAccelerationX(G),accelerometerAccelerationY(G),accelerometerAccelerationZ(G),gyroRotationX(rad/s),gyroRotationY(rad/s),gyroRotationZ(rad/s)\n", "1970-01-01T01:00:%012.9[1]f+01:00,%[2]g,%[3]g,%[4]g,%[5]g,%[6]g,%[7]g\n", 1), motion.Options{TimeUnit: "ms"}, "g", "rad/s", true},
		{"dates", motionTable("timestamp,ax,ay,az,gx,gy,gz\n", "1970/01/01 00:00:%012.9f,%g,%g,%g,%g,%g,%g\n", 1), motion.Options{}, "", "", true},
		{"decimal commas", strings.ReplaceAll(motionTable("t;ax;ay;az;gx;gy;gz\n", strings.ReplaceAll(seven, ",", ";"), 1), ".", ","), motion.Options{}, "", "", true},
		{"decimal commas and tabs", strings.ReplaceAll(motionTable("t\tax\tay\taz\tgx\tgy\tgz\n", "%.6e\t%.6e\t%.6e\t%.6e\t%.6e\t%.6e\t%.6e\n", 1), ".", ","), motion.Options{}, "", "", true},
		{"no header", motionTable("", "9,"+seven, 1), motion.Options{Columns: strings.Fields("1 2 3 4 5 6 7")}, "", "", true},
		{"no times", motionTable("ax,ay,az,gx,gy,gz\n", "%[2]g,%[3]g,%[4]g,%[5]g,%[6]g,%[7]g\n", 1), motion.Options{Rate: 200}, "", "", false},
		{"NPY [n,6]", string(readMotion(t, "n6.npy")), motion.Options{Rate: 200}, "", "", false},
		{"NPY [6,n]", string(readMotion(t, "6n.npy")), motion.Options{Rate: 200}, "", "", false},
		{"NPY [n,7]", string(readMotion(t, "n7_fortran.npy")), motion.Options{}, "", "", true},
		{"NPY, named fields", string(readMotion(t, "named.npy")), motion.Options{}, "", "", true},
		{"NPY, aligned fields", string(readMotion(t, "aligned.npy")), motion.Options{}, "", "", true},
		{"Parquet, halves, decimals and times of 96 bits", string(readMotion(t, "types.parquet")), motion.Options{}, "", "", true},
		{"Parquet", string(readMotion(t, "named.parquet")), motion.Options{}, "", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := motion.Decode(t.Context(), []byte(c.data), c.options)
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Time) != 40 || m.AccelUnit != c.accel || m.GyroUnit != c.gyro || m.Clocked != c.clocked || m.Disordered != 0 {
				t.Fatalf("%d rows, units %q and %q, clocked %v, %d out of order", len(m.Time), m.AccelUnit, m.GyroUnit, m.Clocked, m.Disordered)
			}
			for i := range m.Time {
				want, v := motionRow(i)
				if !c.clocked {
					want--
				}
				if math.Abs(m.Time[i]-want) > 1e-9 {
					t.Fatalf("row %d is at %.9f s, want %.9f", i, m.Time[i], want)
				}
				for k := range v {
					if m.Values[k][i] != float32(v[k]) {
						t.Fatalf("row %d channel %d is %g, want %g", i, k, m.Values[k][i], v[k])
					}
				}
			}
		})
	}
}

// Files of one sensor, as recorders write them: the axes may be called x, y and z, in any order, and what the other
// sensor's columns would be called is passed over.
func TestDecodeOneSensor(t *testing.T) {
	three := func(header, row string, scale float64) string { // verbs: time, x, y, z
		return motionTable(header, row, scale)
	}
	const xyz = "%[1]g,%[2]g,%[3]g,%[4]g\n"
	for _, c := range []struct {
		name    string
		data    string
		options motion.Options
		unit    string
		clocked bool
	}{
		{"Sensor Logger", three("time,seconds_elapsed,z,y,x\n", "%[1]g,77,%[4]g,%[3]g,%[2]g\n", 1e9), motion.Options{}, "", true},
		{"phyphox", three("\"Time (s)\",\"%[1]s x (m/s^2)\",\"%[1]s y (m/s^2)\",\"%[1]s z (m/s^2)\"\n", xyz, 1), motion.Options{}, "m/s2", true},
		{"MATLAB Mobile", three("Timestamp,X,Y,Z\n", "1970-01-01 00:00:%09.6[1]f,%[2]g,%[3]g,%[4]g\n", 1), motion.Options{}, "", true},
		{"RealWorld", three("id,attr_time,attr_x,attr_y,attr_z\n", "1,%[1]g,%[2]g,%[3]g,%[4]g\n", 1e3), motion.Options{}, "", true},
		{"MetaWear", three("epoc (ms),timestamp (-0700),elapsed (s),x-axis (m/s^2),y-axis (m/s^2),z-axis (m/s^2)\n", "%[1]g,1970-01-01T00:00:%09.6[1]f,9,%[2]g,%[3]g,%[4]g\n", 1), motion.Options{}, "m/s2", true},
		{"units of named columns", three("clock,x-axis (m/s^2),y,z\n", xyz, 1), motion.Options{Columns: []string{"clock", "x-axis (m/s^2)", "y", "z"}}, "m/s2", true},
		{"HHAR", three("Index,Arrival_Time,Creation_Time,x,y,z,User,Model,Device,gt\n", "0,77,%[1]g,%[2]g,%[3]g,%[4]g,a,nexus4,nexus4_1,stand\n", 1e9), motion.Options{}, "", true},
		{"values of a table of both", motionTable("t,x,y,z,ax,ay,az,gx,gy,gz\n", "%[1]g,7,7,7,%[2]g,%[3]g,%[4]g,%[2]g,%[3]g,%[4]g\n", 1), motion.Options{}, "", true},
		{"no header", three("", xyz, 1), motion.Options{Columns: strings.Fields("0 1 2 3")}, "", true},
		{"own names", three("a,b,c,clock\n", "%[2]g,%[3]g,%[4]g,%[1]g\n", 1), motion.Options{Columns: strings.Fields("clock a b c")}, "", true},
		{"no times", three("x,y,z\n", "%[2]g,%[3]g,%[4]g\n", 1), motion.Options{Rate: 200}, "", false},
		{"NPY [n,3]", string(readMotion(t, "n3.npy")), motion.Options{Rate: 200}, "", false},
		{"NPY [4,n]", string(readMotion(t, "4n.npy")), motion.Options{}, "", true},
		{"Parquet", string(readMotion(t, "axes.parquet")), motion.Options{}, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, s := range []motion.Sensor{motion.Accelerometer, motion.Gyroscope} {
				sensor := [...]string{motion.Accelerometer: "Acceleration", motion.Gyroscope: "Gyroscope"}[s]
				data := strings.ReplaceAll(c.data, "%[1]s", sensor)
				if s == motion.Gyroscope {
					data = strings.ReplaceAll(data, "m/s^2", "rad/s")
					c.options.Columns = strings.Split(strings.ReplaceAll(strings.Join(c.options.Columns, ","), "m/s^2", "rad/s"), ",")
					if c.options.Columns[0] == "" {
						c.options.Columns = nil
					}
				}
				c.options.Sensor = s
				m, err := motion.Decode(t.Context(), []byte(data), c.options)
				if err != nil {
					t.Fatal(err)
				}
				from, other, unit := 0, 3, m.AccelUnit
				if s == motion.Gyroscope {
					from, other, unit = 3, 0, m.GyroUnit
				}
				if want := strings.Replace(c.unit, "m/s2", map[motion.Sensor]string{motion.Accelerometer: "m/s2", motion.Gyroscope: "rad/s"}[s], 1); unit != want {
					t.Errorf("%s: unit %q, want %q", sensor, unit, want)
				}
				if len(m.Time) != 40 || m.Clocked != c.clocked || m.Values[other] != nil {
					t.Fatalf("%s: %d rows, clocked %v, other sensor %v", sensor, len(m.Time), m.Clocked, m.Values[other])
				}
				for i := range m.Time {
					want, v := motionRow(i)
					if !c.clocked {
						want--
					}
					if math.Abs(m.Time[i]-want) > 1e-6 {
						t.Fatalf("%s: row %d is at %.9f s, want %.9f", sensor, i, m.Time[i], want)
					}
					for k := range 3 {
						if m.Values[from+k][i] != float32(v[k]) {
							t.Fatalf("%s: row %d axis %d is %g, want %g", sensor, i, k, m.Values[from+k][i], v[k])
						}
					}
				}
			}
		})
	}
}

// What a schema says of numbers counts: unsigned ones are not negative, and the unit of a time stamp is known at
// any rate.
func TestMotionSchema(t *testing.T) {
	m, err := motion.Decode(t.Context(), readMotion(t, "unsigned.parquet"), motion.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(m.Time) != "[0 0.2 0.4]" || m.Values[0][1] != 3e9 || m.Values[5][2] != 1<<63 {
		t.Errorf("times %v, values %v", m.Time, m.Values)
	}
}

// Words for no value, those that pandas knows.
func TestMotionMissing(t *testing.T) {
	for _, word := range []string{"", "NaN", "null", "None", "NA", "n/a", "#N/A", "<NA>", "-1.#IND"} {
		m, err := motion.Decode(t.Context(), []byte("t,ax,ay,az,gx,gy,gz\n0,1,2,3,4,5,6\n0.01,"+word+",2,3,4,5,6\n"), motion.Options{})
		if err != nil || !math.IsNaN(float64(m.Values[0][1])) || m.Values[1][1] != 2 {
			t.Errorf("%q: %v", word, err)
		}
	}
}

// Ego4D's documentation warns of times that are missing, repeat or go back, and of missing values.
func TestMotionOutOfOrder(t *testing.T) {
	m, err := motion.Decode(t.Context(), []byte("canonical_timestamp_ms,accl_x,accl_y,accl_z,gyro_x,gyro_y,gyro_z\n"+
		"10,1,1,1,1,1,1\n,2,2,2,2,2,2\n5,3,3,3,3,3,3\n15,,4,4,4,4,nan\n10,5,5,5,5,5,5\n20,6,6,6,6,6,6\n25,7,7"), motion.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(m.Time) != "[0.005 0.01 0.015 0.02]" || m.Disordered != 2 {
		t.Errorf("times %v, %d out of order", m.Time, m.Disordered)
	}
	if fmt.Sprint(m.Values[1]) != "[3 1 4 6]" || !math.IsNaN(float64(m.Values[0][2])) || !math.IsNaN(float64(m.Values[5][2])) {
		t.Errorf("values %v", m.Values)
	}
}

// Broken, foreign and hostile recordings, and the error that each gets.
func TestMalformedMotion(t *testing.T) {
	parquet, npy := readMotion(t, "named.parquet"), readMotion(t, "n6.npy")
	const corrupt, unsupported = fault.Corrupt, fault.Unsupported
	const header = "t,ax,ay,az,gx,gy,gz\n"
	accel, gyro := motion.Options{Sensor: motion.Accelerometer}, motion.Options{Sensor: motion.Gyroscope}
	for _, c := range []struct {
		name    string
		data    string
		options motion.Options
		kind    fault.Kind
		reason  string
		words   string
	}{
		{"nothing", "", motion.Options{}, corrupt, "empty_file", "0 bytes"},
		{"zeros", string(make([]byte, 512)), motion.Options{}, corrupt, "not_motion", "00 00"},
		{"a picture", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", motion.Options{}, corrupt, "not_motion", "CSV, NPY and Parquet"},
		{"a web page", "<html>login</html>\n", motion.Options{}, corrupt, "not_motion", "1 columns"},
		{"other columns", "lat,lon,alt,speed,heading,fix\n1,2,3,4,5,6\n", motion.Options{}, corrupt, "missing_columns", "accelerometer x"},
		{"no gyroscope", "t,ax,ay,az,temp,hum\n1,2,3,4,5,6\n", motion.Options{}, corrupt, "missing_columns", "walk_gyro.csv"},
		{"times of an unknown name", "component_timestamp_ms,ax,ay,az,gx,gy,gz\n1,2,3,4,5,6,7\n2,2,3,4,5,6,7\n", motion.Options{Rate: 200}, corrupt, "missing_columns", `"component_timestamp_ms" looks like one; name the columns by imu.columns`},
		{"no header", "1,2,3,4,5,6,7\n", motion.Options{}, corrupt, "missing_columns", "imu.columns"},
		{"no such column", header, motion.Options{Columns: strings.Fields("a b c d e f")}, corrupt, "missing_columns", `"a"`},
		{"five columns named", header, motion.Options{Columns: strings.Fields("a b c d e")}, fault.Usage, "", "imu.columns: want 6"},
		{"a header alone", header, motion.Options{}, corrupt, "too_few_rows", "0 of 0"},
		{"one row", header + "1,2,3,4,5,6,7\n", motion.Options{}, corrupt, "too_few_rows", "1 of 1"},
		{"no times in the rows", header + ",2,3,4,5,6,7\n,2,3,4,5,6,7\n", motion.Options{}, corrupt, "too_few_rows", "0 of 2"},
		{"a word", header + "1,2,3,4,5,6,7\n1.01,2,3,fast,5,6,7\n", motion.Options{}, corrupt, "corrupt_motion", `CSV:3: az "fast"`},
		{"commas within numbers", header + "0,5,1,5,2,5,3,5,4,5,5,5,6,5\n", motion.Options{}, corrupt, "corrupt_motion", "CSV:2: 14 fields under 7 names"},
		{"points and commas within numbers", strings.ReplaceAll(header, ",", ";") + "0,5;1;2;3;4;5;6\n0.51;1;2;3;4;5;6\n", motion.Options{}, corrupt, "corrupt_motion", `CSV:3: t "0.51" is no number (those before it have a ',')`},
		{"commas and points within numbers", strings.ReplaceAll(header, ",", ";") + "0.5;1;2;3;4;5;6\n0,51;1;2;3;4;5;6\n", motion.Options{}, corrupt, "corrupt_motion", `CSV:3: t "0,51" is no number (those before it have a '.')`},
		{"a point and a comma within a number", strings.ReplaceAll(header, ",", ";") + "1.000,5;1;2;3;4;5;6\n", motion.Options{}, corrupt, "corrupt_motion", `"1.000,5" is no number`},
		{"commas between thousands", strings.ReplaceAll(header, ",", ";") + "1,600,000;1;2;3;4;5;6\n", motion.Options{}, corrupt, "corrupt_motion", `"1,600,000" is no number`},
		{"a number among dates", header + "2026-01-01T00:00:00,1,2,3,4,5,6\n12,1,2,3,4,5,6\n", motion.Options{}, corrupt, "corrupt_motion", `CSV:3: t "12"`},
		{"a date among numbers", header + "12,1,2,3,4,5,6\n2026-01-01T00:00:00,1,2,3,4,5,6\n", motion.Options{}, corrupt, "corrupt_motion", "CSV:3: t"},
		{"UTF-16", "\xff\xfet\x00,\x00", motion.Options{}, corrupt, "not_motion", "UTF-16"},
		{"Parquet: words", string(readMotion(t, "words.parquet")), motion.Options{}, unsupported, "unsupported_motion", "column acc_x holds values of type string"},
		{"five rows a second", header + "1,2,3,4,5,6,7\n1.2,2,3,4,5,6,7\n1.4,2,3,4,5,6,7\n", motion.Options{}, corrupt, "bad_times", "imu.time_unit"},
		{"one sensor: the other's", "t,gx,gy,gz\n1,2,3,4\n", accel, corrupt, "missing_columns", "accelerometer z among t, gx, gy, gz; name them by imu.accel_columns"},
		{"one sensor: an axis is missing", "t,x,y,w\n1,2,3,4\n", gyro, corrupt, "missing_columns", "no column of gyroscope z"},
		{"one sensor: two columns", "t,x\n1,2\n", accel, corrupt, "not_motion", "2 columns, and a recording has 3"},
		{"one sensor: no header", "1,2,3,4\n", gyro, corrupt, "missing_columns", "imu.gyro_columns"},
		{"one sensor: six columns named", "t,x,y,z\n", motion.Options{Sensor: motion.Gyroscope, Columns: strings.Fields("a b c d e f")}, fault.Usage, "", "imu.gyro_columns: want 3"},
		{"one sensor: NPY of both", string(npy), accel, unsupported, "unsupported_motion", "[n,3]"},
		{"one sensor: NPY, which axis", string(append(npyHead("{'descr': '|u1', 'fortran_order': False, 'shape': (3, 4), }"), make([]byte, 12)...)), gyro, unsupported, "unsupported_motion", "which axis"},
		{"no rate", "ax,ay,az,gx,gy,gz\n2,3,4,5,6,7\n", motion.Options{}, fault.Usage, "", "imu.rate"},
		{"Parquet: cut off", string(parquet[:len(parquet)-9]), motion.Options{}, corrupt, "corrupt_motion", "Parquet"},
		{"Parquet: damaged", string(splice(parquet, len(parquet)-8, "\xff\xff\xff\x7f")), motion.Options{}, corrupt, "corrupt_motion", "Parquet"},
		{"Parquet: pages damaged", string(splice(parquet, 60, strings.Repeat("\xff", 400))), motion.Options{}, corrupt, "corrupt_motion", "Parquet"},
		{"NPY: cut off", string(npy[:len(npy)-4]), motion.Options{Rate: 200}, corrupt, "truncated", "more than"},
		{"NPY: a vector", string(npyHead("{'descr': '|u1', 'fortran_order': False, 'shape': (0,), }")), motion.Options{}, unsupported, "unsupported_motion", "[n,6]"},
		{"NPY: which axis", string(append(npyHead("{'descr': '|u1', 'fortran_order': False, 'shape': (6, 7), }"), make([]byte, 42)...)), motion.Options{}, unsupported, "unsupported_motion", "which axis"},
		{"NPY: pickled", string(npyHead("{'descr': '|O', 'fortran_order': False, 'shape': (6, 9), }")), motion.Options{}, unsupported, "unsupported_motion", "|O"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := motion.Decode(t.Context(), []byte(c.data), c.options)
			if err == nil {
				t.Fatal("no error")
			}
			if k, r := fault.KindOf(err), fault.ReasonOf(err); k != c.kind || c.reason != "" && r != c.reason || !strings.Contains(err.Error(), c.words) {
				t.Errorf("got %v %s: %v; want %v %s with %q", k, r, err, c.kind, c.reason, c.words)
			}
		})
	}
}

func FuzzDecodeMotion(f *testing.F) {
	for _, name := range []string{"n6.npy", "n7_fortran.npy", "named.npy", "named.parquet", "types.parquet", "unsigned.parquet", "aligned.npy"} {
		f.Add(readMotion(f, name), byte(0))
	}
	f.Add([]byte(motionTable("#timestamp [ns],w_x,w_y,w_z,a_x [m s^-2],a_y,a_z\n", "%g,%g,%g,%g,%g,%g,%g\n", 1e9)), byte(0))
	f.Add([]byte(motionTable("t;ax;ay;az;gx;gy;gz\n", "%g;%g;%g;%g;%g;%g;nan\n", 1)), byte(0))
	f.Add([]byte(motionTable("# t ax ay az gx gy gz\n", "2026-01-01T00:00:%09.6f %g %g %g %g %g n/a\n", 1)), byte(0))
	f.Add([]byte(motionTable("timestamp [ns],ax,ay,az,gx,gy,gz\n", "%g,%g,%g,%g,%g,%g,%g\n", 1e-320)), byte(0)) // one time once they are seconds
	for _, name := range []string{"n3.npy", "4n.npy", "axes.parquet"} {
		f.Add(readMotion(f, name), byte(1))
	}
	f.Add([]byte("time,seconds_elapsed,z,y,x\n1e18,0,3,2,1\n1.01e18,0.01,3,2,1\n"), byte(2))
	f.Add([]byte("t;x;y;z\n0,1;1;2,5;3\n0,2;1;2;3,25E0\n"), byte(1))
	f.Fuzz(func(t *testing.T, data []byte, sensor byte) {
		s := motion.Sensor(sensor % 3)
		m, err := motion.Decode(t.Context(), data, motion.Options{Rate: 400, Sensor: s})
		if err != nil {
			if k := fault.KindOf(err); k != fault.Corrupt && k != fault.Unsupported {
				t.Fatalf("%v: %v", k, err)
			}
			return
		}
		for i := 1; i < len(m.Time); i++ {
			if !(m.Time[i] > m.Time[i-1]) {
				t.Fatalf("time %d is %g after %g", i, m.Time[i], m.Time[i-1])
			}
		}
		for c, v := range m.Values {
			want := len(m.Time)
			if s == motion.Accelerometer && c > 2 || s == motion.Gyroscope && c < 3 {
				want = 0
			}
			if len(v) != want {
				t.Fatalf("channel %d: %d values at %d times", c, len(v), len(m.Time))
			}
		}
	})
}
