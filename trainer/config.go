package trainer

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"prep/configs"
	"prep/internal/fault"
)

func encodeYAML(w io.Writer, c configs.Config) error {
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(c); err != nil {
		return err
	}
	return enc.Close()
}

// RunConfig reads the configuration that a run was begun with, as YAML: what a resumption lays below its own
// flags so that it needs none.
func RunConfig(runDir string) ([]byte, error) {
	path := filepath.Join(runDir, configFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Inputf("%s holds no run to resume: there is no %s in it", runDir, configFile)
	}
	return b, err
}
