// Writes golden vectors: what the Go that compiles this makes of the inputs of inputs.json
// at every level. See README.md.
package main

import (
	"bufio"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"log"
	"os"
	"runtime"
	"strconv"
)

type counter struct {
	hash.Hash
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	c.n += int64(len(b))
	return c.Hash.Write(b)
}

func sum(level int, write func(io.Writer)) string {
	c := &counter{Hash: sha256.New()}
	w, err := flate.NewWriter(c, level)
	if err != nil {
		log.Fatal(err)
	}
	write(w)
	w.Close()
	return fmt.Sprintf("%d %s", c.n, hex.EncodeToString(c.Sum(nil)))
}

// long is the input of more than 2 GiB: mixed-2m, 1,100 times, each with its number before it.
func long(mixed []byte, w io.Writer) {
	for i := 0; i < 1100; i++ {
		w.Write(binary.LittleEndian.AppendUint64(nil, uint64(i)))
		w.Write(mixed)
	}
}

func main() {
	log.SetFlags(0)
	names, recipes := readRecipes("inputs.json")
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	if len(os.Args) > 1 { // levels, for the long input
		mixed := follow(recipes["mixed-2m"])
		fmt.Fprintf(out, "# %s, long\n", runtime.Version())
		for _, a := range os.Args[1:] {
			level, _ := strconv.Atoi(a)
			fmt.Fprintf(out, "%d %s\n", level, sum(level, func(w io.Writer) { long(mixed, w) }))
		}
		return
	}
	fmt.Fprintf(out, "# %s: input, its sha256, then level, size and sha256 of each output\n", runtime.Version())
	for _, name := range names {
		data := follow(recipes[name])
		fmt.Fprintf(out, "%s %x\n", name, sha256.Sum256(data))
		for level := -2; level <= 9; level++ {
			if level != -1 {
				fmt.Fprintf(out, "%d %s\n", level, sum(level, func(w io.Writer) { w.Write(data) }))
			}
		}
	}
}
