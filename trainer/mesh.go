package trainer

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/distributed"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/core/tensors/dtensor"
	"github.com/gomlx/gomlx/ml/model"

	"prep/internal/fault"
	"prep/trainer/device"
)

// A mesh is the devices of one process that compute a step together (data parallel): each has all weights and
// moments, and its share of the batch's samples. The graph is written for the whole batch, so that every sample is
// every other's negative; XLA's partitioner (Shardy) divides it and puts in what the devices tell each other.
// Measuring and embedding use the first device alone.
type mesh struct {
	devices *distributed.DeviceMesh
	whole   *distributed.ShardingSpec // on every device
	samples []*distributed.ShardingSpec
}

// samplesAxis names the mesh's one axis.
const samplesAxis = "samples"

// newMesh takes the first n devices of a backend; nil for one.
func newMesh(b compute.Backend, n int) (*mesh, error) {
	if n <= 1 {
		return nil, nil
	}
	if !device.IsXLA(b) {
		return nil, fault.Usagef("%d devices need XLA (--device cuda, or xla:PATH; prep doctor says what is installed): the Go backend is one device with all cores", n)
	}
	if have := int(b.NumDevices()); n > have {
		return nil, fault.Environmentf("%d devices are asked for, the plugin has %d", n, have)
	}
	d, err := distributed.NewDeviceMesh([]int{n}, []string{samplesAxis})
	if err != nil {
		return nil, err
	}
	m := &mesh{devices: d, whole: distributed.NewReplicatedShardingSpec(d)}
	for _, b := range []*distributed.SpecBuilder{distributed.BuildSpec(d).S(samplesAxis), distributed.BuildSpec(d).R().S(samplesAxis)} {
		s, err := b.Done()
		if err != nil {
			return nil, err
		}
		m.samples = append(m.samples, s)
	}
	return m, nil
}

// placed is an argument of a program, and which of its axes counts the samples.
type placed struct {
	value   any
	samples int // 0 or 1, or noAxis
}

const noAxis = -1

// whole is an argument that every device gets.
func whole(v any) placed { return placed{v, noAxis} }

func (m *mesh) spec(a placed) *distributed.ShardingSpec {
	if a.samples == noAxis {
		return m.whole
	}
	return m.samples[a.samples]
}

// A program is a compiled graph for one device or for a mesh.
type program struct {
	exec *model.Exec
	mesh *mesh
}

// program compiles a graph for arguments that are placed like the given ones.
func (e *engine) program(args []placed, build func(*model.Scope, []*Node) []*Node) (*program, error) {
	if e.programs++; e.programs == 1 && !e.inPlace {
		e.log("compiling the step for the device: seconds for small towers, a minute for large ones on a GPU")
	}
	x, err := model.NewExec(e.backend, e.store, build)
	if err != nil || e.mesh == nil {
		return &program{exec: x}, err
	}
	var specs []*distributed.ShardingSpec
	for _, a := range args {
		specs = append(specs, e.mesh.spec(a))
	}
	x = x.AutoSharding(e.mesh.devices).WithInputShardingSpecs(specs...).WithOutputShardingSpecs(e.mesh.whole)
	if x.DefaultShardingSpec() == nil {
		err = x.SetDefaultShardingSpec(e.mesh.whole)
	}
	return &program{x, e.mesh}, err
}

// call runs a program. Its results are whole.
func (p *program) call(args []placed) ([]*tensors.Tensor, error) {
	in := make([]any, len(args))
	if p.mesh == nil {
		for i, a := range args {
			in[i] = a.value
		}
		return p.exec.Call(in...)
	}
	for i, a := range args {
		t, ok := a.value.(*tensors.Tensor)
		if !ok {
			var err error
			if t, err = tensors.FromAnyValue(a.value); err != nil {
				return nil, err
			}
			defer t.FinalizeAll()
		}
		d, err := dtensor.ShardTensor(p.mesh.spec(a), t)
		if err != nil {
			return nil, err
		}
		defer func() { _ = d.FinalizeAll() }()
		in[i] = d
	}
	out, err := p.exec.Call(in...)
	if err != nil {
		return nil, err
	}
	n := p.mesh.devices.NumDevices()
	if len(out)%n != 0 {
		return nil, fmt.Errorf("%d results of %d devices", len(out), n)
	}
	each := len(out) / n
	for _, t := range out[each:] { // they repeat the first device's
		t.FinalizeAll()
	}
	return out[:each], nil
}

// divide refuses batches that devices cannot share.
func (p *pairing) divide(devices int, log func(string)) error {
	if devices <= 1 {
		return nil
	}
	for _, pr := range p.pairs {
		if pr.batch%devices != 0 {
			why := ""
			if pr.batch != p.train.Batch {
				why = fmt.Sprintf(" (train.batch is %d, %d items are there to train on)", p.train.Batch, len(pr.train))
			}
			return fault.Usagef("%s: a batch of %d does not come out even on %d devices%s; choose --batch and --devices so that it does", pr.name, pr.batch, devices, why)
		}
		log(fmt.Sprintf("%s: %d items of each batch on each of %d devices", pr.name, pr.batch/devices, devices))
	}
	return nil
}
