package torchfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"prep/trainer/element"
)

// The values that a pickle can build here. A program is never among them: what a pickle calls must be in
// callables, and those only put data together.
type (
	tuple []any
	list  struct{ items []any }
	set   struct{}
	dict  struct {
		keys, values []any
		byName       map[string]int // place of each key that is a string
	}
	// global is a name that a pickle looked up: a key of callables, storages or dtypes.
	global string
	// opaque is data that nobody here needs, such as a device.
	opaque struct{}
)

// A storage is a run of elements that tensors are views of.
type storage struct {
	key  string
	kind element.Type // "" for bytes whose type the tensor says
	n    int64        // elements; bytes where kind is ""
	base int64        // of a view in the old format, in elements of its root
}

// A tensorValue is a view of a storage, with strides and offset in elements.
type tensorValue struct {
	store   *storage
	kind    element.Type
	offset  int64
	shape   []int
	strides []int
}

// storages are the classes that name a storage's element type.
var storages = map[global]element.Type{
	"torch.FloatStorage": element.F32, "torch.DoubleStorage": element.F64, "torch.HalfStorage": element.F16, "torch.BFloat16Storage": element.BF16,
	"torch.LongStorage": element.I64, "torch.IntStorage": element.I32, "torch.ShortStorage": element.I16, "torch.CharStorage": element.I8,
	"torch.ByteStorage": element.U8, "torch.BoolStorage": element.Bool, "torch.ComplexFloatStorage": element.C64, "torch.ComplexDoubleStorage": element.C128,
	"torch.storage.UntypedStorage": "",
}

// dtypes are PyTorch's names of element types.
var dtypes = map[global]element.Type{
	"torch.float32": element.F32, "torch.float64": element.F64, "torch.float16": element.F16, "torch.bfloat16": element.BF16,
	"torch.int64": element.I64, "torch.int32": element.I32, "torch.int16": element.I16, "torch.int8": element.I8,
	"torch.uint64": element.U64, "torch.uint32": element.U32, "torch.uint16": element.U16, "torch.uint8": element.U8, "torch.bool": element.Bool,
	"torch.complex64": element.C64, "torch.complex128": element.C128,
}

// callables are all that a pickle may call: what PyTorch itself writes around tensors, and plain containers.
var callables = map[global]func(args tuple) (any, error){
	"collections.OrderedDict":                    newDict,
	"collections.Counter":                        newDict,
	"builtins.set":                               func(tuple) (any, error) { return set{}, nil },
	"__builtin__.set":                            func(tuple) (any, error) { return set{}, nil },
	"_codecs.encode":                             func(tuple) (any, error) { return opaque{}, nil },
	"torch.device":                               func(tuple) (any, error) { return opaque{}, nil },
	"torch.Size":                                 newSize,
	"torch._utils._rebuild_tensor":               rebuildTensor,
	"torch._utils._rebuild_tensor_v2":            rebuildTensor,
	"torch._utils._rebuild_tensor_v3":            rebuildTensor,
	"torch._utils._rebuild_parameter":            rebuildParameter,
	"torch._utils._rebuild_parameter_with_state": rebuildParameter,
}

// names that stand for data and are neither called nor looked into.
var plainNames = map[global]bool{
	"torch.Tensor": true, "torch.nn.parameter.Parameter": true, "torch.strided": true, "torch.contiguous_format": true, "torch.preserve_format": true,
}

// rebuildFromType is how a tensor with attributes of its own is written: a callable, a class, the callable's
// arguments and the attributes. It calls another callable, so it stands apart from the table.
const rebuildFromType global = "torch._tensor._rebuild_from_type_v2"

// Bounds on a pickle. A model of 5,000 tensors with an optimiser's state takes about 2 MB and a million
// operations.
const (
	maxPickle     = 64 << 20 // bytes
	maxOperations = 4 << 20
	maxMemo       = 4 << 20
)

// A machine runs one pickle: a stack, marks on it, and a memo.
type machine struct {
	in    []byte
	at    int
	stack []any
	marks []int
	memo  map[uint64]any
	// kinds are the element types of all storages that were named.
	kinds map[string]element.Type
	// work counts what a call copies, so that repeating a short call cannot take long.
	work int
}

// unpickle runs the pickle at the beginning of in and returns its value; the machine says where it ended.
func unpickle(in []byte) (any, *machine, error) {
	m := &machine{in: in, memo: map[uint64]any{}, kinds: map[string]element.Type{}}
	for ; ; m.work++ {
		if m.work > maxOperations {
			return nil, nil, fmt.Errorf("more than %d operations", maxOperations)
		}
		begin := m.at
		op, err := m.byte()
		if err != nil {
			return nil, nil, fmt.Errorf("it ends without its end mark: %w", err)
		}
		if op == '.' {
			v, err := m.pop()
			return v, m, err
		}
		if err := m.do(op); err != nil {
			return nil, nil, fmt.Errorf("at byte %d: %w", begin, err)
		}
	}
}

func (m *machine) take(n uint64) ([]byte, error) {
	if n > uint64(len(m.in)-m.at) {
		return nil, fmt.Errorf("%d bytes are due, %d are there", n, len(m.in)-m.at)
	}
	b := m.in[m.at : m.at+int(n)]
	m.at += int(n)
	return b, nil
}

func (m *machine) byte() (byte, error) {
	b, err := m.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// uint reads n little-endian bytes, at most 8.
func (m *machine) uint(n int) (uint64, error) {
	b, err := m.take(uint64(n))
	if err != nil {
		return 0, err
	}
	var w [8]byte
	copy(w[:], b)
	return binary.LittleEndian.Uint64(w[:]), nil
}

func (m *machine) line() (string, error) {
	i := bytes.IndexByte(m.in[m.at:], '\n')
	if i < 0 {
		return "", fmt.Errorf("a line does not end")
	}
	s := string(m.in[m.at : m.at+i])
	m.at += i + 1
	return s, nil
}

func (m *machine) push(v any) { m.stack = append(m.stack, v) }

func (m *machine) pop() (any, error) {
	floor := 0
	if len(m.marks) > 0 {
		floor = m.marks[len(m.marks)-1]
	}
	if len(m.stack) <= floor {
		return nil, fmt.Errorf("the stack is empty")
	}
	v := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return v, nil
}

// popMark takes all that was pushed since the last mark.
func (m *machine) popMark() (tuple, error) {
	if len(m.marks) == 0 {
		return nil, fmt.Errorf("no mark on the stack")
	}
	at := m.marks[len(m.marks)-1]
	m.marks = m.marks[:len(m.marks)-1]
	v := append(tuple(nil), m.stack[at:]...)
	m.stack = m.stack[:at]
	return v, nil
}

func (m *machine) popTuple(n int) error {
	t := make(tuple, n)
	for i := n - 1; i >= 0; i-- {
		v, err := m.pop()
		if err != nil {
			return err
		}
		t[i] = v
	}
	m.push(t)
	return nil
}

func (m *machine) top() (any, error) {
	v, err := m.pop()
	if err == nil {
		m.push(v)
	}
	return v, err
}

// put remembers the top of the stack.
func (m *machine) put(i uint64) error {
	v, err := m.top()
	if err != nil {
		return err
	}
	if len(m.memo) >= maxMemo {
		return fmt.Errorf("more than %d remembered values", maxMemo)
	}
	m.memo[i] = v
	return nil
}

func (m *machine) get(i uint64) error {
	v, ok := m.memo[i]
	if !ok {
		return fmt.Errorf("nothing is remembered as %d", i)
	}
	m.push(v)
	return nil
}

// text pushes a string of a length that stands before it in n bytes.
func (m *machine) text(n int) error {
	length, err := m.uint(n)
	if err != nil {
		return err
	}
	b, err := m.take(length)
	if err == nil {
		m.push(string(b))
	}
	return err
}

// skip pushes bytes of a length that stands before them, which nobody reads.
func (m *machine) skip(n int) error {
	length, err := m.uint(n)
	if err != nil {
		return err
	}
	_, err = m.take(length)
	m.push(opaque{})
	return err
}

// integer pushes a two's complement number of n bytes; one beyond 64 bits as *big.Int.
func (m *machine) integer(n uint64) error {
	b, err := m.take(n)
	if err != nil {
		return err
	}
	if len(b) <= 8 {
		v := int64(0)
		for i, c := range b {
			v |= int64(c) << (8 * i)
		}
		if k := len(b); k > 0 && k < 8 && b[k-1]&0x80 != 0 {
			v -= 1 << (8 * k)
		}
		m.push(v)
		return nil
	}
	if len(b) > 256 {
		return fmt.Errorf("an integer of %d bytes", len(b))
	}
	be := make([]byte, len(b))
	for i, c := range b {
		be[len(b)-1-i] = c
	}
	v := new(big.Int).SetBytes(be)
	if be[0]&0x80 != 0 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	m.push(v)
	return nil
}

// do runs one operation. The letters are pickle's own (Python's pickletools lists them); what protocols 2
// to 5 use for data is here, and nothing else.
func (m *machine) do(op byte) error {
	switch op {
	case 0x80: // PROTO
		v, err := m.byte()
		if err == nil && (v < 2 || v > 5) {
			return fmt.Errorf("pickle protocol %d is not one of 2 to 5", v)
		}
		return err
	case 0x95: // FRAME
		n, err := m.uint(8)
		if err == nil && n > uint64(len(m.in)-m.at) {
			return fmt.Errorf("a frame of %d bytes, %d are there", n, len(m.in)-m.at)
		}
		return err
	case '(':
		m.marks = append(m.marks, len(m.stack))
	case '0': // POP, which may take a mark
		if n := len(m.marks); n > 0 && m.marks[n-1] == len(m.stack) {
			m.marks = m.marks[:n-1]
			return nil
		}
		_, err := m.pop()
		return err
	case '1':
		_, err := m.popMark()
		return err
	case '2':
		v, err := m.top()
		m.push(v)
		return err
	case 'N':
		m.push(nil)
	case 0x88:
		m.push(true)
	case 0x89:
		m.push(false)
	case 'K', 'M':
		v, err := m.uint(map[byte]int{'K': 1, 'M': 2}[op])
		m.push(int64(v))
		return err
	case 'J':
		v, err := m.uint(4)
		m.push(int64(int32(v)))
		return err
	case 0x8a, 0x8b: // LONG1, LONG4
		n, err := m.uint(map[byte]int{0x8a: 1, 0x8b: 4}[op])
		if err != nil {
			return err
		}
		return m.integer(n)
	case 'I': // also how protocol 0 writes booleans
		s, err := m.line()
		if err != nil {
			return err
		}
		v, err := strconv.ParseInt(s, 10, 64)
		m.push(v)
		return err
	case 'G':
		b, err := m.take(8)
		if err == nil {
			m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
		}
		return err
	case 'X', 'T':
		return m.text(4)
	case 0x8c, 'U':
		return m.text(1)
	case 0x8d:
		return m.text(8)
	case 'C':
		return m.skip(1)
	case 'B':
		return m.skip(4)
	case 0x8e, 0x96:
		return m.skip(8)
	case ')':
		m.push(tuple{})
	case 't':
		t, err := m.popMark()
		m.push(t)
		return err
	case 0x85, 0x86, 0x87:
		return m.popTuple(int(op) - 0x84)
	case ']':
		m.push(&list{})
	case 'l':
		t, err := m.popMark()
		m.push(&list{t})
		return err
	case 'a', 'e':
		return m.appendItems(op)
	case '}':
		m.push(&dict{byName: map[string]int{}})
	case 'd':
		t, err := m.popMark()
		if err != nil {
			return err
		}
		d := &dict{byName: map[string]int{}}
		m.push(d)
		return d.set(t)
	case 's', 'u':
		return m.setItems(op)
	case 0x8f:
		m.push(set{})
	case 0x90: // ADDITEMS
		if _, err := m.popMark(); err != nil {
			return err
		}
		_, err := m.top()
		return err
	case 0x91: // FROZENSET
		_, err := m.popMark()
		m.push(set{})
		return err
	case 'q', 'r':
		i, err := m.uint(map[byte]int{'q': 1, 'r': 4}[op])
		if err != nil {
			return err
		}
		return m.put(i)
	case 0x94:
		return m.put(uint64(len(m.memo)))
	case 'h', 'j':
		i, err := m.uint(map[byte]int{'h': 1, 'j': 4}[op])
		if err != nil {
			return err
		}
		return m.get(i)
	case 'c', 0x93:
		return m.lookUp(op)
	case 'R', 0x81: // REDUCE, NEWOBJ
		return m.call()
	case 'b':
		return m.build()
	case 'Q':
		return m.persistent()
	case 'i', 'o', 0x92, 0x82, 0x83, 0x84: // INST, OBJ, NEWOBJ_EX, EXT
		return fmt.Errorf("operation %q makes an object, which is not data", op)
	default:
		return fmt.Errorf("operation 0x%02x is not one that torch.save writes", op)
	}
	return nil
}

func (m *machine) appendItems(op byte) error {
	var items tuple
	var err error
	if op == 'e' {
		items, err = m.popMark()
	} else {
		var v any
		v, err = m.pop()
		items = tuple{v}
	}
	if err != nil {
		return err
	}
	v, err := m.top()
	if err != nil {
		return err
	}
	l, ok := v.(*list)
	if !ok {
		return fmt.Errorf("items are appended to something that is no list")
	}
	l.items = append(l.items, items...)
	return nil
}

func (m *machine) setItems(op byte) error {
	var items tuple
	var err error
	if op == 'u' {
		if items, err = m.popMark(); err != nil {
			return err
		}
	} else {
		if err := m.popTuple(2); err != nil {
			return err
		}
		v, _ := m.pop()
		items = v.(tuple)
	}
	v, err := m.top()
	if err != nil {
		return err
	}
	d, ok := v.(*dict)
	if !ok {
		return fmt.Errorf("an item is set in something that is no dictionary")
	}
	return d.set(items)
}

// set puts keys and values, which alternate, into the dictionary.
func (d *dict) set(items tuple) error {
	if len(items)%2 != 0 {
		return fmt.Errorf("a key without a value")
	}
	for i := 0; i < len(items); i += 2 {
		if s, ok := items[i].(string); ok {
			if _, twice := d.byName[s]; twice {
				return fmt.Errorf("the name %q occurs twice", s)
			}
			d.byName[s] = len(d.keys)
		}
		d.keys, d.values = append(d.keys, items[i]), append(d.values, items[i+1])
	}
	return nil
}

func (d *dict) get(name string) (any, bool) {
	i, ok := d.byName[name]
	if !ok {
		return nil, false
	}
	return d.values[i], true
}

// lookUp resolves a name. Any name that is not data is refused here, before anything could be done with it.
func (m *machine) lookUp(op byte) error {
	var module, name string
	var err error
	if op == 'c' {
		if module, err = m.line(); err == nil {
			name, err = m.line()
		}
		if err != nil {
			return err
		}
	} else {
		b, err := m.pop()
		if err != nil {
			return err
		}
		a, err := m.pop()
		if err != nil {
			return err
		}
		var ok bool
		if name, ok = b.(string); ok {
			module, ok = a.(string)
		}
		if !ok {
			return fmt.Errorf("a name is looked up by something that is no text")
		}
	}
	g := global(module + "." + name)
	_, isStorage := storages[g]
	_, isType := dtypes[g]
	if !isStorage && !isType && !plainNames[g] && callables[g] == nil && g != rebuildFromType {
		return &refusedName{string(g)}
	}
	m.push(g)
	return nil
}

// refusedName is a name in a pickle that stands for code.
type refusedName struct{ name string }

func (e *refusedName) Error() string {
	name := e.name
	if len(name) > 200 {
		name = name[:200] + "..."
	}
	return fmt.Sprintf("it names %q, which is code and not data: refused, nothing was run", name)
}

func (m *machine) call() error {
	a, err := m.pop()
	if err != nil {
		return err
	}
	f, err := m.pop()
	if err != nil {
		return err
	}
	args, ok := a.(tuple)
	if !ok {
		return fmt.Errorf("a call without a tuple of arguments")
	}
	if len(args) > 0 {
		if l, ok := args[0].(*list); ok {
			m.work += len(l.items)
		}
	}
	v, err := apply(f, args)
	if err != nil {
		return err
	}
	m.push(v)
	return nil
}

func apply(f any, args tuple) (any, error) {
	g, ok := f.(global)
	if !ok {
		return nil, fmt.Errorf("a call of something that is no function")
	}
	if g == rebuildFromType {
		if len(args) != 4 {
			return nil, fmt.Errorf("%s with %d arguments", g, len(args))
		}
		inner, ok := args[0].(global)
		innerArgs, ok2 := args[2].(tuple)
		if !ok || !ok2 || inner == rebuildFromType {
			return nil, fmt.Errorf("%s of no function", g)
		}
		return apply(inner, innerArgs)
	}
	call := callables[g]
	if call == nil {
		return nil, fmt.Errorf("%s is called, and is no function", g)
	}
	v, err := call(args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", g, err)
	}
	return v, nil
}

// build sets an object's state: attributes of a dictionary such as _metadata, or of a tensor. Neither
// matters to the values.
func (m *machine) build() error {
	if _, err := m.pop(); err != nil {
		return err
	}
	v, err := m.top()
	if err != nil {
		return err
	}
	switch v.(type) {
	case *dict, *tensorValue, set, opaque:
		return nil
	}
	return fmt.Errorf("a state is set on something that has none")
}

// persistent resolves a reference to what lies outside the pickle: a storage.
func (m *machine) persistent() error {
	v, err := m.pop()
	if err != nil {
		return err
	}
	id, ok := v.(tuple)
	if !ok || len(id) < 5 || id[0] != any("storage") {
		return fmt.Errorf("a reference to something outside that is no storage")
	}
	class, ok1 := id[1].(global)
	key, ok2 := id[2].(string)
	n, ok3 := id[4].(int64)
	kind, ok4 := storages[class]
	if !ok4 {
		kind, ok4 = dtypes[class]
	}
	if !ok1 || !ok2 || !ok3 || !ok4 || n < 0 {
		return fmt.Errorf("a storage whose class is %s, its key %s, its size %s", describe(id[1]), describe(id[2]), describe(id[4]))
	}
	s := &storage{key: key, kind: kind, n: n}
	if known, ok := m.kinds[key]; ok && known != kind {
		return fmt.Errorf("storage %s is of %s and of %s", key, known, kind)
	}
	m.kinds[key] = kind
	if len(id) > 5 && id[5] != nil { // a view in the old format: its key, its place in the root, its size
		view, ok := id[5].(tuple)
		if !ok || len(view) != 3 {
			return fmt.Errorf("storage %s: a view that cannot be read", key)
		}
		base, ok1 := view[1].(int64)
		size, ok2 := view[2].(int64)
		if !ok1 || !ok2 || base < 0 || size < 0 || base > n || size > n-base {
			return fmt.Errorf("storage %s: a view beyond its end", key)
		}
		s.base = base
	}
	m.push(s)
	return nil
}

func newDict(args tuple) (any, error) {
	d := &dict{byName: map[string]int{}}
	if len(args) == 0 {
		return d, nil
	}
	if len(args) > 1 {
		return nil, fmt.Errorf("%d arguments", len(args))
	}
	switch a := args[0].(type) {
	case *dict:
		return a, nil // not a copy: nobody changes either of them afterwards
	case *list: // of pairs, as Python 2 wrote it
		for _, p := range a.items {
			var pair tuple
			switch p := p.(type) {
			case tuple:
				pair = p
			case *list:
				pair = p.items
			}
			if len(pair) != 2 {
				return nil, fmt.Errorf("an item that is no pair")
			}
			if err := d.set(pair); err != nil {
				return nil, err
			}
		}
		return d, nil
	}
	return nil, fmt.Errorf("made from something that is no list")
}

func newSize(args tuple) (any, error) {
	if len(args) == 1 {
		switch a := args[0].(type) {
		case tuple:
			return a, nil
		case *list:
			return tuple(a.items), nil
		}
	}
	return nil, fmt.Errorf("not one list of numbers")
}

// rebuildTensor is _rebuild_tensor(storage, offset, size, stride), whose v2 adds requires_grad, hooks and
// metadata, and whose v3 puts the element type before the metadata.
func rebuildTensor(args tuple) (any, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("%d arguments", len(args))
	}
	s, ok := args[0].(*storage)
	offset, ok2 := args[1].(int64)
	if !ok || !ok2 || offset < 0 {
		return nil, fmt.Errorf("no storage and offset")
	}
	t := &tensorValue{store: s, kind: s.kind, offset: offset}
	size, err := numbers(args[2])
	if err != nil {
		return nil, fmt.Errorf("size: %w", err)
	}
	stride, err := numbers(args[3])
	if err != nil {
		return nil, fmt.Errorf("stride: %w", err)
	}
	if len(size) != len(stride) || len(size) > maxDims {
		return nil, fmt.Errorf("%d sizes, %d strides", len(size), len(stride))
	}
	t.shape, t.strides = size, stride
	if len(args) > 6 {
		if g, ok := args[6].(global); ok {
			if t.kind, ok = dtypes[g]; !ok {
				return nil, fmt.Errorf("element type %s", g)
			}
		}
	}
	if t.kind == "" {
		return nil, fmt.Errorf("no element type")
	}
	return t, nil
}

// numbers is a tuple of lengths, none negative, none above 2^31.
func numbers(v any) ([]int, error) {
	t, ok := v.(tuple)
	if !ok {
		return nil, fmt.Errorf("not a tuple")
	}
	out := make([]int, len(t))
	for i, x := range t {
		n, ok := x.(int64)
		if !ok || n < 0 || n > math.MaxInt32 {
			return nil, fmt.Errorf("%s is not a length", describe(x))
		}
		out[i] = int(n)
	}
	return out, nil
}

func rebuildParameter(args tuple) (any, error) {
	if len(args) > 0 {
		if t, ok := args[0].(*tensorValue); ok {
			return t, nil
		}
	}
	return nil, fmt.Errorf("a parameter of no tensor")
}

// describe names a value's kind for a message.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool, int64, float64:
		return fmt.Sprint(v)
	case *big.Int:
		return "a large number"
	case string:
		return strconv.Quote(v[:min(len(v), 80)])
	case global:
		return string(v[:min(len(v), 80)])
	case tuple:
		return fmt.Sprintf("a tuple of %d", len(v))
	case *list:
		return fmt.Sprintf("a list of %d", len(v.items))
	case *dict:
		var names []string
		for _, k := range v.keys {
			if s, ok := k.(string); ok && len(names) < 8 {
				names = append(names, describe(s))
			}
		}
		return fmt.Sprintf("a dictionary of %d (%s)", len(v.keys), strings.Join(names, ", "))
	case *tensorValue:
		return "a tensor"
	}
	return "something else"
}
