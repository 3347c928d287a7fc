// Command prep turns raw multimodal files into a verified, sharded data set and trains an
// ImageBind-style joint embedding on it. Everything it does is in internal/cli.
package main

func main() {}
