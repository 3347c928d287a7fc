// Command compare encodes texts for scripts/compare_bpe.py, which holds the results against the Python
// originals.
//
// It reads one text a line from standard input, in hexadecimal, and writes one line for each: the
// repaired text and the cleaned text in hexadecimal, then the ids and the full count with inert and with
// ImageBind's special tokens, all separated by tabs.
//
// With -assigned it prints the ranges of code points that Go's version of Unicode has, and reads nothing.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"unicode"

	"prep/bpe"
	"prep/bpe/internal/ftfy"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run() error {
	out := bufio.NewWriter(os.Stdout)
	if len(os.Args) == 2 && os.Args[1] == "-assigned" {
		printAssigned(out)
		return out.Flush()
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		raw, err := hex.DecodeString(in.Text())
		if err != nil {
			return err
		}
		text := string(raw)
		fmt.Fprintf(out, "%x\t%x", ftfy.FixText(text), bpe.Clean(text))
		for _, special := range []bpe.SpecialTokens{bpe.Inert, bpe.ImageBind} {
			r := bpe.Encode(text, bpe.Options{SpecialTokens: special})
			fmt.Fprintf(out, "\t%d\t%d", r.IDs[:r.Len()], r.Tokens)
		}
		fmt.Fprintln(out)
	}
	if err := in.Err(); err != nil {
		return err
	}
	return out.Flush()
}

func printAssigned(w io.Writer) {
	assigned := func(r rune) bool {
		return unicode.In(r, unicode.C, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z)
	}
	for lo := rune(0); lo <= unicode.MaxRune; lo++ {
		if !assigned(lo) {
			continue
		}
		hi := lo
		for assigned(hi + 1) {
			hi++
		}
		fmt.Fprintf(w, "%x-%x\n", lo, hi)
		lo = hi
	}
}
