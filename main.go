// Command prep turns raw multimodal files into a verified, sharded data set and trains an
// ImageBind-style joint embedding on it. Everything it does is in internal/cli.
package main

import (
	"os"

	"prep/internal/cli"
)

func main() {
	cli.Restart()
	os.Exit(cli.Main(os.Args, os.Stdout, os.Stderr))
}
