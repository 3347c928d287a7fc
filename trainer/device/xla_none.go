//go:build !(cgo && (linux || darwin) && (amd64 || arm64))

package device

import (
	"errors"

	"github.com/gomlx/compute"
)

const haveXLA = false

var errNoXLA = errors.New("this program was built without XLA")

func openXLA(string, bool) (compute.Backend, error) { return nil, errNoXLA }

func probeXLA(string) (*Report, error) { return nil, errNoXLA }
