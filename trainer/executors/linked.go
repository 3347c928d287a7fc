package executors

import (
	"reflect"
	"runtime/debug"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"fmt"
)

// What the Go backend keeps to itself, in the layout that it has in the version of go.mod. Pointers to what is not
// looked into are unsafe.Pointer; the garbage collector sees them as they are. matches compares all of it with the
// library's own types before anything of it is used.
type (
	buffer struct {
		RawBackend unsafe.Pointer
		RawShape   shapes.Shape
		InUse      bool
		isUserFed  bool //nolint:unused // it has its place in the layout
		RawBytes   []byte
		Flat       any
	}

	node struct {
		Index              int
		Inputs             []*node
		CapturedInputs     [][]*node
		OpType             compute.OpType
		Shape              shapes.Shape
		Builder            unsafe.Pointer
		Function           unsafe.Pointer
		MultiOutputsShapes []shapes.Shape
		MultiOutputsNodes  []*node
		IsNodeSelectOutput bool
		SelectOutputIdx    int
		Data               any
	}

	// dotData is what a node of a product holds. Products that build lays out have layout asTheyLie, the library's
	// own have one of the other two.
	dotData struct {
		InputDType, OutputDType                                dtypes.DType
		Config                                                 compute.DotGeneralConfig
		Layout                                                 int
		LHSContractingAxes, LHSBatchAxes                       []int
		RHSContractingAxes, RHSBatchAxes                       []int
		BatchSize, LHSCrossSize, RHSCrossSize, ContractingSize int
		implementation                                         unsafe.Pointer
	}

	// What slices and paddings hold.
	sliceData struct {
		starts, limits, strides []int //nolint:unused // limits has its place in the layout
	}
	padData struct {
		axesConfig []compute.PadAxis
	}

	// An executor computes one node. An input that it owns it may return as its result, and then sets it to nil.
	executor func(backend unsafe.Pointer, n *node, inputs []*buffer, owned []bool) (*buffer, error)

	// A dotBuilder puts a product into a graph.
	dotBuilder func(f unsafe.Pointer, lhs compute.Value, lhsContracting, lhsBatch []int, rhs compute.Value, rhsContracting, rhsBatch []int, config compute.DotGeneralConfig) (compute.Value, error)

	// registration is what the library keeps for the builder of an operation.
	registration[F any] struct {
		Method   string
		Priority int
		Fn       F
	}
)

// The library's layouts of products.
const (
	plain     = iota // lhs [batch, m, k], rhs [batch, k, n]
	turned           // lhs [batch, m, k], rhs [batch, n, k]
	asTheyLie        // the library's incompatible: ours, axes as the node names them
)

// userPriority is that of executors from outside the library.
const userPriority = 100

//go:linkname setNodeExecutor github.com/gomlx/compute/internal/gobackend.SetNodeExecutor
func setNodeExecutor(op compute.OpType, priority int, e executor)

//go:linkname getBuffer github.com/gomlx/compute/internal/gobackend.(*Backend).GetBuffer
func getBuffer(backend unsafe.Pointer, shape shapes.Shape) (*buffer, error)

//go:linkname getOrCreateNode github.com/gomlx/compute/internal/gobackend.(*Function).GetOrCreateNode
func getOrCreateNode(f unsafe.Pointer, op compute.OpType, shape shapes.Shape, inputs []*node, data any) (*node, bool)

//go:linkname verifyAndCastValues github.com/gomlx/compute/internal/gobackend.(*Function).VerifyAndCastValues
func verifyAndCastValues(f unsafe.Pointer, name string, values ...compute.Value) ([]*node, error)

//go:linkname nodeExecutors github.com/gomlx/compute/internal/gobackend.nodeExecutors
var nodeExecutors [compute.OpTypeLast]executor

//go:linkname registerDotGeneral github.com/gomlx/compute/internal/gobackend.RegisterDotGeneral
var registerDotGeneral registration[dotBuilder]

// The library and its version that all this was read in.
const (
	library = "github.com/gomlx/compute"
	version = "v0.1.4"
)

// The library's types of a node and of what nodes hold, found by matches.
var (
	nodeType  reflect.Type
	dotType   reflect.Type
	sliceType reflect.Type
	padType   reflect.Type
)

// matches compares what this package believes of the library with what a backend of it hands out.
func matches(b compute.Backend) error {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == library && (m.Version != version || m.Replace != nil) {
				return fmt.Errorf("%s is %s here, %s is known", library, m.Version, version)
			}
		}
	}
	f := b.Builder("probe").Main()
	shape := shapes.Make(dtypes.Float32, 1, 2, 2)
	x, err := f.Parameter("x", shape, nil)
	if err != nil {
		return err
	}
	product, err := f.DotGeneral(x, []int{2}, []int{0}, x, []int{1}, []int{0}, compute.DotGeneralConfig{})
	if err != nil {
		return err
	}
	data := reflect.ValueOf(product)
	if data.Kind() != reflect.Pointer || data.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("a value is %T", product)
	}
	if err := sameType(reflect.TypeFor[node](), data.Type().Elem()); err != nil {
		return err
	}
	slice, err := f.Slice(x, []int{0, 0, 0}, []int{1, 1, 1}, []int{1, 1, 1})
	if err != nil {
		return err
	}
	zero, err := f.Constant([]float32{0})
	if err != nil {
		return err
	}
	pad, err := f.Pad(x, zero, compute.PadAxis{Start: 1})
	if err != nil {
		return err
	}
	var held [3]reflect.Type
	for i, of := range []struct {
		node compute.Value
		ours reflect.Type
	}{{product, reflect.TypeFor[dotData]()}, {slice, reflect.TypeFor[sliceData]()}, {pad, reflect.TypeFor[padData]()}} {
		v := reflect.ValueOf(of.node).Elem().FieldByName("Data").Elem()
		if v.Kind() != reflect.Pointer {
			return fmt.Errorf("what a node holds is %v", v.Kind())
		}
		if err := sameType(of.ours, v.Type().Elem()); err != nil {
			return err
		}
		held[i] = v.Type()
	}
	buf, err := b.BufferFromFlatData(0, make([]float32, 4), shape)
	if err != nil {
		return err
	}
	defer func() { _ = buf.Finalize() }()
	held2 := reflect.TypeOf(buf)
	if held2.Kind() != reflect.Pointer {
		return fmt.Errorf("a buffer is %v", held2)
	}
	if err := sameType(reflect.TypeFor[buffer](), held2.Elem()); err != nil {
		return err
	}
	for _, m := range []struct {
		of         reflect.Type
		name, want string
	}{
		{reflect.TypeOf(b), "GetBuffer", "func(*gobackend.Backend, shapes.Shape) (*gobackend.Buffer, error)"},
		{reflect.TypeOf(f), "GetOrCreateNode", "func(*gobackend.Function, compute.OpType, shapes.Shape, []*gobackend.Node, interface {}) (*gobackend.Node, bool)"},
		{reflect.TypeOf(f), "VerifyAndCastValues", "func(*gobackend.Function, string, ...compute.Value) ([]*gobackend.Node, error)"},
	} {
		if has, ok := m.of.MethodByName(m.name); !ok || has.Type.String() != m.want {
			return fmt.Errorf("%v.%s is not %s", m.of, m.name, m.want)
		}
	}
	if registerDotGeneral.Method != "DotGeneral" || registerDotGeneral.Fn == nil || nodeExecutors[compute.OpTypeDotGeneral] == nil {
		return fmt.Errorf("the library's tables are not what they were")
	}
	nodeType, dotType, sliceType, padType = data.Type(), held[0], held[1], held[2]
	return nil
}

// sameType compares two structs field by field: names, places and types, where a named type stands for what it is made
// of and a pointer for any pointer.
func sameType(ours, theirs reflect.Type) error {
	if theirs.Kind() != reflect.Struct || ours.NumField() != theirs.NumField() || ours.Size() != theirs.Size() {
		return fmt.Errorf("%v is not laid out as %v", theirs, ours)
	}
	for i := range ours.NumField() {
		a, b := ours.Field(i), theirs.Field(i)
		if a.Name != b.Name || a.Offset != b.Offset || !alike(a.Type, b.Type) {
			return fmt.Errorf("field %d of %v is %s %v at %d, not %s %v at %d", i, theirs, b.Name, b.Type, b.Offset, a.Name, a.Type, a.Offset)
		}
	}
	return nil
}

func alike(ours, theirs reflect.Type) bool {
	switch {
	case ours == theirs:
		return true
	case ours.Kind() == reflect.UnsafePointer || ours.Kind() == reflect.Pointer:
		return theirs.Kind() == reflect.Pointer
	case ours.Kind() == reflect.Slice && theirs.Kind() == reflect.Slice:
		return alike(ours.Elem(), theirs.Elem())
	}
	return ours.PkgPath() == "" && ours.Kind() != reflect.Struct && ours.Kind() == theirs.Kind()
}

// valueOf is a node as the library hands it out.
func valueOf(n *node) compute.Value {
	return reflect.NewAt(nodeType.Elem(), unsafe.Pointer(n)).Interface()
}

// newDotData makes a product's data of the library's type.
func newDotData() (*dotData, any) {
	v := reflect.New(dotType.Elem())
	return (*dotData)(v.UnsafePointer()), v.Interface()
}

// dataOf returns what a node holds, where it is of the library's type that T stands for.
func dataOf[T any](n *node, t reflect.Type) *T {
	if reflect.TypeOf(n.Data) != t {
		return nil
	}
	return (*T)(reflect.ValueOf(n.Data).UnsafePointer())
}
